/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_pending.c: the scripts that are owed a thaw */
#include <config.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "files.h"
#include "pending.h"
#include "util.h"

#define SOON (50 * USEC_PER_MSEC)
#define PATIENCE (30 * USEC_PER_SEC)

/* The state is the runtime directory, "DIR/run". */
static int setup(void **state)
{
    char *dir = files_new();

    *state = files_path(dir, "run");
    free(dir);
    return 0;
}

static int teardown(void **state)
{
    char *dir = strndup(*state, strlen(*state) - strlen("/run"));

    files_remove(dir);
    free(dir);
    free(*state);
    return 0;
}

static void open_list(const char *runtime_dir, struct pending *pending)
{
    assert_int_equal(pending_open(runtime_dir, -1, now_usec() + PATIENCE, pending, NULL), 0);
}

/* Writes the list file of @runtime_dir by hand. */
static void write_list(const char *runtime_dir, const char *text, mode_t mode)
{
    char *dir = NULL;

    files_check(asprintf(&dir, "%s-hook", runtime_dir) >= 0, "asprintf");
    (void)mkdir(dir, 0700);
    files_write(dir, "scripts.json", text);
    files_mode(dir, "scripts.json", mode);
    free(dir);
}

static void test_it_is_remembered_in_order(void **state)
{
    struct pending pending;

    assert_false(pending_exists(*state));
    open_list(*state, &pending);
    assert_int_equal(pending.n, 0);
    assert_int_equal(pending_set(&pending, "/b \"\n", SCRIPT_STRICT, PENDING_FREEZE, 0), 0);
    assert_int_equal(pending_set(&pending, "/a", SCRIPT_LENIENT, PENDING_FREEZE, 0), 0);
    pending_close(&pending);

    assert_true(pending_exists(*state));
    open_list(*state, &pending);
    assert_int_equal(pending.n, 2);
    assert_string_equal(pending.list[0].path, "/b \"\n");
    assert_int_equal(pending.list[0].weight, SCRIPT_STRICT);
    assert_int_equal(pending.list[0].verb, PENDING_FREEZE);
    assert_string_equal(pending.list[1].path, "/a");
    assert_int_equal(pending.list[1].weight, SCRIPT_LENIENT);
    assert_null(pending_lookup(&pending, "/c"));
    assert_int_equal(pending_remove(&pending, "/b \"\n"), 0);
    assert_int_equal(pending_remove(&pending, "/b \"\n"), 0);
    assert_int_equal(pending_remove(&pending, "/a"), 0);
    pending_close(&pending);
    assert_false(pending_exists(*state));
}

static void test_a_running_process_is_told_from_another_one(void **state)
{
    struct pending pending;
    struct pending_script other;
    pid_t pid = fork();

    if (pid == 0) {
        for (;;) {
            (void)pause();
        }
    }
    open_list(*state, &pending);
    assert_int_equal(pending_set(&pending, "/a", SCRIPT_STRICT, PENDING_THAW, pid), 0);
    pending_close(&pending);

    open_list(*state, &pending);
    assert_int_equal(pending.list[0].verb, PENDING_THAW);
    assert_int_equal(pending.list[0].pid, pid);
    assert_true(pending_running(&pending.list[0]));
    other = pending.list[0];
    other.alive_at = 0;
    assert_false(pending_running(&other));
    (void)kill(pid, SIGKILL);
    (void)waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT);
    assert_false(pending_running(&pending.list[0])); /* a zombie */
    (void)waitpid(pid, NULL, 0);
    assert_false(pending_running(&pending.list[0]));
    pending_close(&pending);
}

static void test_a_second_hook_waits_and_gives_up(void **state)
{
    struct pending pending;
    pid_t pid;
    int status;

    open_list(*state, &pending);
    pid = fork();
    if (pid == 0) {
        struct pending second;
        CLEANUP_FREE char *error = NULL;
        int wake = eventfd(1, EFD_CLOEXEC);
        int r = pending_open(*state, -1, now_usec() + SOON, &second, &error);
        char expected[128];

        (void)snprintf(expected, sizeof(expected),
                       "another fsfreeze-hook (pid %ld) is still busy with its scripts",
                       (long)getppid());
        if (r != -ETIMEDOUT || error == NULL || strcmp(error, expected) != 0) {
            _exit(1);
        }
        r = pending_open(*state, wake, now_usec() + PATIENCE, &second, NULL);
        _exit(r == -EINTR ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    pending_close(&pending);
    open_list(*state, &pending);
    pending_close(&pending);
}

static void test_nonsense_is_an_error_and_an_empty_list(void **state)
{
    static const char *const lists[] = {
        "",
        "{",
        "[]",
        "{}\n",
        "{\"version\":2}",
        "{\"version\":1}\n",
        "{\"version\":2}\n1\n",
        "{\"version\":2}\n{\"path\":\"/a\"}\n",
        "{\"version\":2}\n{\"path\":\"relative\",\"verb\":\"freeze\",\"strict\":true,"
        "\"pid\":0,\"alive_at\":0}\n",
        "{\"version\":2}\n{\"path\":\"/a\",\"verb\":\"freeze\",\"strict\":true,"
        "\"pid\":-1,\"alive_at\":0}\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        struct pending pending;
        char *error = NULL;

        write_list(*state, lists[i], 0600);
        assert_int_equal(pending_open(*state, -1, now_usec() + PATIENCE, &pending, &error),
                         -EBADMSG);
        assert_non_null(strstr(error, "scripts.json"));
        free(error);
        assert_int_equal(pending.n, 0);
        assert_int_equal(pending_set(&pending, "/a", SCRIPT_STRICT, PENDING_FREEZE, 0), 0);
        pending_close(&pending);
        open_list(*state, &pending);
        assert_int_equal(pending.n, 1);
        pending_close(&pending);
    }
}

static void test_a_line_cut_short_is_not_counted(void **state)
{
    struct pending pending;

    write_list(*state,
               "{\"version\":2}\n"
               "{\"path\":\"/a\",\"verb\":\"freeze\",\"strict\":true,\"pid\":0,"
               "\"alive_at\":0}\n"
               "{\"path\":\"/a\",\"verb\":\"none\"",
               0600);
    open_list(*state, &pending);
    assert_int_equal(pending.n, 1);
    assert_int_equal(pending_set(&pending, "/b", SCRIPT_STRICT, PENDING_FREEZE, 0), 0);
    pending_close(&pending);

    open_list(*state, &pending);
    assert_int_equal(pending.n, 2);
    pending_close(&pending);
}

static void test_a_list_of_many_changes_stays_readable(void **state)
{
    struct pending pending;

    open_list(*state, &pending);
    assert_int_equal(pending_set(&pending, "/kept", SCRIPT_STRICT, PENDING_FREEZE, 0), 0);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(pending_set(&pending, "/a", SCRIPT_LENIENT, PENDING_THAW, 0), 0);
        assert_int_equal(pending_remove(&pending, "/a"), 0);
    }
    pending_close(&pending);

    open_list(*state, &pending);
    assert_int_equal(pending.n, 1);
    assert_string_equal(pending.list[0].path, "/kept");
    pending_close(&pending);
}

static void test_a_list_that_others_can_write_is_not_believed(void **state)
{
    struct pending pending;
    char *error = NULL;

    write_list(*state, "{\"version\":2}\n", 0666);
    assert_int_equal(pending_open(*state, -1, now_usec() + PATIENCE, &pending, &error), -EBADMSG);
    assert_non_null(error);
    free(error);
    pending_close(&pending);
}

static void test_none_remembers_nothing(void **state)
{
    struct pending pending = PENDING_NONE;

    (void)state;
    assert_int_equal(pending_set(&pending, "/a", SCRIPT_STRICT, PENDING_FREEZE, 0), 0);
    assert_int_equal(pending_remove(&pending, "/a"), 0);
    assert_int_equal(pending.n, 0);
    pending_close(&pending);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_is_remembered_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_running_process_is_told_from_another_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_second_hook_waits_and_gives_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nonsense_is_an_error_and_an_empty_list, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_line_cut_short_is_not_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_list_of_many_changes_stays_readable, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_list_that_others_can_write_is_not_believed, setup,
                                        teardown),
        cmocka_unit_test(test_none_remembers_nothing),
    };

    return cmocka_run_group_tests_name("pending", tests, NULL, NULL);
}
