/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_hook.c: the program itself, with scripts, and with no daemon to reach */
#include <config.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "files.h"
#include "hook_bench.h"
#include "util.h"

/* For a script: waits for the file "go", or for the end of the test. */
#define UNTIL_GO "while [ -e \"$TEST_DIR/own\" ] && ! [ -e \"$TEST_DIR/go\" ]; do sleep 0.05; done"

static void test_nothing_configured_is_a_success(void **state)
{
    struct hook_outcome outcome;
    char *record;

    hook_run("freeze", &outcome);
    assert_int_equal(outcome.status, 0);
    assert_string_equal(outcome.text, "");
    hook_assert("thaw", 0, "");
    record = hook_read(*state, "state/record.json");
    assert_string_equal(record, "");
    free(record);
}

static void test_nothing_configured_replaces_an_older_record(void **state)
{
    char *script = files_path(*state, "own/1");

    hook_script(*state, "own/1", "");
    hook_assert("freeze", 0, "");
    hook_assert("thaw", 0, "");
    files_check(unlink(script) == 0, script);
    free(script);
    hook_assert("freeze", 0, "");
    hook_assert_record(*state, "state", "\"held\"");
    hook_assert_record(*state, "apps", "[]");
    hook_assert_record(*state, "scripts", "[]");
    hook_assert("thaw", 0, "");
    hook_assert_record(*state, "state", "\"thawed\"");
    hook_assert_record(*state, "consistent", "null");
}

static void test_arguments(void **state)
{
    (void)state;
    hook_assert("--help", 0, "usage: fsfreeze-hook");
    hook_assert("--version", 0, "fsfreeze-hook " PACKAGE_VERSION "\n");
    hook_assert("melt", 2, "usage: fsfreeze-hook");
}

static void test_scripts_freeze_forwards_and_thaw_backwards(void **state)
{
    hook_script(*state, "own/1", "");
    hook_script(*state, "own/2", "");
    hook_script(*state, "legacy/3", "exit 1");
    hook_assert("freeze", 0, "");
    hook_assert_trace(*state, "1 freeze\n2 freeze\n3 freeze\n");
    hook_assert("thaw", 0, "");
    hook_assert_trace(*state, "3 thaw\n2 thaw\n1 thaw\n");
    hook_assert("thaw", 0, "");
    hook_assert_trace(*state, "3 thaw\n2 thaw\n1 thaw\n");
}

static void test_a_failing_script_is_undone_with_those_before(void **state)
{
    hook_script(*state, "own/1", "");
    hook_script(*state, "own/2", "[ $1 = thaw ] || { echo no space; exit 3; }");
    hook_script(*state, "own/3", "");
    hook_assert("freeze", 1, "own/2' failed to freeze: exit status 3: no space\n");
    hook_assert_trace(*state, "1 freeze\n2 freeze\n2 thaw\n1 thaw\n");
    hook_assert_record(*state, "state", "\"failed\"");
    hook_assert("thaw", 0, "");
}

static void test_a_late_script_is_killed_and_undone(void **state)
{
    hook_settings(*state, "[quiesced]\nscript-timeout = 200ms\n");
    hook_script(*state, "own/1", "[ $1 = thaw ] || exec sleep 60");
    hook_assert("freeze", 1, "own/1' failed to freeze: not done within 200 ms, killed\n");
    hook_assert_trace(*state, "1 freeze\n1 thaw\n");
}

static void test_a_legacy_failure_fails_when_told_so(void **state)
{
    hook_settings(*state, "[quiesced]\nlegacy-scripts = fail\n");
    hook_script(*state, "legacy/1", "exit 1");
    hook_assert("freeze", 1, "legacy/1' failed to freeze: exit status 1\n");
    hook_settings(*state, "[quiesced]\nlegacy-scripts = off\n");
    hook_assert_trace(*state, "1 freeze\n1 thaw\n");
    hook_assert("freeze", 0, "");
    hook_assert_trace(*state, "");
}

static void test_a_script_without_interpreter_fails_once(void **state)
{
    struct hook_outcome outcome;
    char expected[256];

    files_write(*state, "own/1", "#!/nowhere/at/all\n");
    files_mode(*state, "own/1", 0755);
    hook_run("freeze", &outcome);
    assert_int_equal(outcome.status, 1);
    (void)snprintf(expected, sizeof(expected),
                   "quiesced: script '%s/own/1' cannot be started: No such file or directory\n",
                   (const char *)*state);
    assert_string_equal(outcome.text, expected);
}

static void test_a_refused_script_is_named(void **state)
{
    hook_script(*state, "own/1", "");
    hook_script(*state, "legacy/2", "");
    files_mode(*state, "legacy/2", 0777);
    hook_assert("freeze", 0, "");
    hook_assert_trace(*state, "1 freeze\n");
    files_mode(*state, "own/1", 0777);
    hook_assert("freeze", 1, "own/1' is refused: ");
    hook_assert("thaw", 0, "");
}

static void test_a_failing_thaw_does_not_stop_the_others(void **state)
{
    hook_script(*state, "own/1", "");
    hook_script(*state, "own/2", "[ $1 = freeze ]");
    hook_assert("freeze", 0, "");
    hook_assert_trace(*state, "1 freeze\n2 freeze\n");
    hook_assert("thaw", 1, "own/2' failed to thaw: exit status 1\n");
    hook_assert_trace(*state, "2 thaw\n1 thaw\n");
}

static void test_a_late_thaw_is_left_running_and_remembered(void **state)
{
    struct hook_outcome outcome;

    hook_settings(*state, "[quiesced]\nscript-thaw-timeout = 400ms\n");
    hook_script(*state, "own/1", "");
    hook_script(*state, "own/2",
                "[ $1 = thaw ] && " UNTIL_GO "\n"
                "echo output\necho \"ended $1\" >>\"$TEST_DIR/trace\"");
    hook_assert("freeze", 0, "");
    hook_assert_trace(*state, "1 freeze\n2 freeze\nended freeze\n");
    hook_run("thaw", &outcome);
    assert_int_equal(outcome.status, 1);
    assert_non_null(strstr(outcome.text, "own/2' has not thawed in time: still running"));
    assert_true(outcome.usec < 5 * USEC_PER_SEC);
    hook_wait_trace(*state, "2 thaw\n1 thaw\n");
    hook_assert("freeze", 1, "own/2' of an earlier thaw still runs with pid ");
    files_write(*state, "go", "");
    hook_wait_trace(*state, "2 thaw\n1 thaw\nended thaw\n");
    hook_assert_trace(*state, "2 thaw\n1 thaw\nended thaw\n");
    for (int i = 0; i < 100; i++) { /* the script has noted its end before it ends */
        hook_run("freeze", &outcome);
        if (outcome.status == 0) {
            break;
        }
    }
    assert_int_equal(outcome.status, 0);
}

static void test_after_sigkill_the_next_call_thaws(void **state)
{
    static const char *const verbs[] = { "freeze", "thaw" };

    hook_script(*state, "own/1", "");
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        struct hook_outcome outcome;
        pid_t pid;
        int fd;

        hook_script(*state, "own/2", "[ $1 = thaw ] || exec sleep 60");
        pid = hook_start("freeze", &fd);
        hook_wait_trace(*state, "1 freeze\n2 freeze\n");
        hook_assert_trace(*state, "1 freeze\n2 freeze\n");
        assert_int_equal(kill(pid, SIGKILL), 0);
        hook_finish(pid, fd, &outcome);
        assert_int_equal(outcome.status, -SIGKILL);
        hook_script(*state, "own/2", "");
        hook_assert(verbs[i], 0, "");
        hook_assert_trace(*state,
                          i == 0 ? "2 thaw\n1 thaw\n1 freeze\n2 freeze\n" : "2 thaw\n1 thaw\n");
        hook_assert("thaw", 0, "");
        hook_assert_trace(*state, "2 thaw\n1 thaw\n");
    }
}

static void test_a_script_that_was_removed_while_frozen_is_named(void **state)
{
    char *path = files_path(*state, "own/1");
    char *log;

    hook_script(*state, "own/1", "");
    hook_assert("freeze", 0, "");
    files_check(unlink(path) == 0, path);
    hook_assert("thaw", 0, "");
    log = hook_read(*state, "log/hook.log");
    assert_non_null(strstr(log, "own/1' was frozen, and cannot be thawed: it is gone"));
    free(log);
    free(path);
}

static void test_a_signal_undoes_the_scripts(void **state)
{
    struct hook_outcome outcome;
    int fd;
    pid_t pid;

    hook_script(*state, "own/1", "");
    hook_script(*state, "own/2", "[ $1 = thaw ] || exec sleep 60");
    pid = hook_start("freeze", &fd);
    hook_wait_trace(*state, "1 freeze\n2 freeze\n");
    assert_int_equal(kill(pid, SIGTERM), 0);
    hook_finish(pid, fd, &outcome);
    assert_int_equal(outcome.status, 1);
    assert_string_equal(outcome.text,
                        "quiesced: the freeze was ended by SIGTERM during the scripts\n");
    hook_assert_trace(*state, "1 freeze\n2 freeze\n2 thaw\n1 thaw\n");
}

/* The agent reads its pipe to the end before it waits. */
static void test_a_background_child_does_not_keep_the_agent(void **state)
{
    struct hook_outcome outcome;

    hook_script(*state, "own/1", UNTIL_GO " &\necho started");
    hook_run("freeze", &outcome);
    assert_int_equal(outcome.status, 0);
    assert_true(outcome.usec < 5 * USEC_PER_SEC);
    hook_run("thaw", &outcome);
    assert_int_equal(outcome.status, 0);
    assert_true(outcome.usec < 5 * USEC_PER_SEC);
    files_write(*state, "go", "");
}

static void test_output_goes_to_the_log(void **state)
{
    char *log;

    hook_script(*state, "own/1", "echo one; printf 'two\\033[0m' >&2");
    hook_assert("freeze", 0, "");
    log = hook_read(*state, "log/hook.log");
    assert_non_null(strstr(log, "/own/1': one\n"));
    assert_non_null(strstr(log, "/own/1': two?[0m\n"));
    free(log);
}

static void configure_app(const char *dir)
{
    files_mkdir(dir, "conf/apps.d", 0755);
    files_write(dir, "conf/apps.d/main.conf", "[app]\nplugin = example\n");
}

static void test_without_the_daemon_the_freeze_fails_and_says_how_to_start_it(void **state)
{
    configure_app(*state);
    hook_script(*state, "own/1", "");
    hook_assert("freeze", 1, "start it with 'systemctl start quiesced.socket quiesced.service'\n");
    hook_assert_trace(*state, "");
    hook_assert_record(*state, "state", "\"failed\"");
    hook_assert("thaw", 0, "");
}

/* A listener that never accepts is a daemon that hangs. */
static void test_a_daemon_that_hangs_delays_within_the_budgets(void **state)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char *path = files_path(*state, "run/quiesced.sock");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct hook_outcome outcome;

    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    files_check(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 5) == 0,
                path);
    configure_app(*state);
    hook_settings(*state, "[quiesced]\nfreeze-timeout = 1s\nthaw-timeout = 1s\n"
                          "script-thaw-timeout = 500ms\n");
    hook_run("freeze", &outcome);
    assert_int_equal(outcome.status, 1);
    assert_non_null(strstr(outcome.text, "has not answered Prepare in time\n"));
    assert_true(outcome.usec < 2 * USEC_PER_SEC);

    files_write(*state, "run/marker", "{\"cycle\":\"c\",\"apps\":[\"main\",\"../x\"]}");
    hook_run("thaw", &outcome);
    assert_int_equal(outcome.status, 1);
    assert_non_null(strstr(outcome.text, "the hold of 'main' was lost: quiesced has not "));
    assert_true(outcome.usec < 2 * USEC_PER_SEC);
    hook_assert_record(*state, "consistent", "false");
    hook_assert_record(*state, "cycle", "\"c\"");
    hook_assert("thaw", 0, ""); /* the marker has gone */

    files_write(*state, "run/marker", "{");
    hook_settings(*state, "[quiesced]\nlost-hold = warn\nthaw-timeout = 1s\n");
    hook_assert("thaw", 0, "the hold was lost");
    hook_assert_record(*state, "consistent", "false");
    (void)close(fd);
    free(path);
}

static void test_a_broken_configuration_fails_a_freeze_and_no_thaw(void **state)
{
    hook_settings(*state, "[quiesced]\nfreeze-timeot = 1s\n");
    hook_assert("freeze", 1, "freeze-timeout");
    hook_assert_record(*state, "state", "\"failed\"");
    hook_assert("thaw", 0, "the defaults count\n");
}

static void test_two_hooks_do_not_mix_their_scripts(void **state)
{
    struct hook_outcome outcome;
    int first_fd;
    int second_fd;
    pid_t first;
    pid_t second;

    hook_script(*state, "own/1",
                "[ $1 = thaw ] || " UNTIL_GO "\n"
                "echo end >>\"$TEST_DIR/trace\"");
    first = hook_start("freeze", &first_fd);
    hook_wait_trace(*state, "1 freeze\n");
    second = hook_start("freeze", &second_fd);
    files_write(*state, "go", "");
    hook_finish(first, first_fd, &outcome);
    assert_int_equal(outcome.status, 0);
    hook_finish(second, second_fd, &outcome);
    assert_int_equal(outcome.status, 0);
    hook_assert_trace(*state, "1 freeze\nend\n1 thaw\nend\n1 freeze\nend\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_configured_is_a_success, hook_setup,
                                        hook_teardown),
        cmocka_unit_test_setup_teardown(test_nothing_configured_replaces_an_older_record,
                                        hook_setup, hook_teardown),
        cmocka_unit_test_setup_teardown(test_arguments, hook_setup, hook_teardown),
        cmocka_unit_test_setup_teardown(test_scripts_freeze_forwards_and_thaw_backwards, hook_setup,
                                        hook_teardown),
        cmocka_unit_test_setup_teardown(test_a_failing_script_is_undone_with_those_before,
                                        hook_setup, hook_teardown),
        cmocka_unit_test_setup_teardown(test_a_late_script_is_killed_and_undone, hook_setup,
                                        hook_teardown),
        cmocka_unit_test_setup_teardown(test_a_legacy_failure_fails_when_told_so, hook_setup,
                                        hook_teardown),
        cmocka_unit_test_setup_teardown(test_a_script_without_interpreter_fails_once, hook_setup,
                                        hook_teardown),
        cmocka_unit_test_setup_teardown(test_a_refused_script_is_named, hook_setup, hook_teardown),
        cmocka_unit_test_setup_teardown(test_a_failing_thaw_does_not_stop_the_others, hook_setup,
                                        hook_teardown),
        cmocka_unit_test_setup_teardown(test_a_late_thaw_is_left_running_and_remembered, hook_setup,
                                        hook_teardown),
        cmocka_unit_test_setup_teardown(test_after_sigkill_the_next_call_thaws, hook_setup,
                                        hook_teardown),
        cmocka_unit_test_setup_teardown(test_a_script_that_was_removed_while_frozen_is_named,
                                        hook_setup, hook_teardown),
        cmocka_unit_test_setup_teardown(test_a_signal_undoes_the_scripts, hook_setup,
                                        hook_teardown),
        cmocka_unit_test_setup_teardown(test_a_background_child_does_not_keep_the_agent, hook_setup,
                                        hook_teardown),
        cmocka_unit_test_setup_teardown(test_output_goes_to_the_log, hook_setup, hook_teardown),
        cmocka_unit_test_setup_teardown(
            test_without_the_daemon_the_freeze_fails_and_says_how_to_start_it, hook_setup,
            hook_teardown),
        cmocka_unit_test_setup_teardown(test_a_daemon_that_hangs_delays_within_the_budgets,
                                        hook_setup, hook_teardown),
        cmocka_unit_test_setup_teardown(test_a_broken_configuration_fails_a_freeze_and_no_thaw,
                                        hook_setup, hook_teardown),
        cmocka_unit_test_setup_teardown(test_two_hooks_do_not_mix_their_scripts, hook_setup,
                                        hook_teardown),
    };

    if (!hook_find()) {
        return 77;
    }
    return cmocka_run_group_tests_name("hook", tests, NULL, NULL);
}
