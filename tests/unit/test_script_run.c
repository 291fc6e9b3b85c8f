/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_script_run.c: one running script */
#include <config.h>

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "files.h"
#include "script_run.h"
#include "util.h"

#define SOON (100 * USEC_PER_MSEC)
#define PATIENCE (30 * USEC_PER_SEC)

struct said {
    char text[SCRIPT_OUTPUT_MAX * 2];
    size_t n;
    size_t lines;
};

static struct said said;

static int setup(void **state)
{
    said = (struct said){ 0 };
    *state = files_new();
    return 0;
}

static int teardown(void **state)
{
    files_remove(*state);
    free(*state);
    return 0;
}

static void hear(void *data, const char *path, const char *line)
{
    struct said *heard = data;
    int n = snprintf(heard->text + heard->n, sizeof(heard->text) - heard->n, "%s\n", line);

    assert_non_null(path);
    assert_true(n >= 0 && (size_t)n < sizeof(heard->text) - heard->n);
    heard->n += (size_t)n;
    heard->lines++;
}

/* Starts the script with @text; the path lives as long as the test. */
static void start(const char *dir, const char *text, struct script_run *run)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/script", dir);
    files_write(dir, "script", text);
    files_mode(dir, "script", 0755);
    assert_int_equal(script_run_start(path, "freeze", hear, &said, run), 0);
    assert_int_equal(script_run_go(run), 0);
}

static int wait_one(struct script_run *run, uint64_t usec)
{
    return script_run_wait(&run, 1, -1, now_usec() + usec);
}

static void assert_error(const struct script_run *run, const char *expected)
{
    char *error = script_run_error(run);

    if (expected == NULL) {
        assert_null(error);
    } else {
        assert_non_null(error);
        assert_string_equal(error, expected);
    }
    free(error);
}

/* Runs the script to its end. */
static void run_script(const char *dir, const char *text, const char *error)
{
    struct script_run run;

    start(dir, text, &run);
    assert_int_equal(wait_one(&run, PATIENCE), 0);
    script_run_close(&run);
    assert_error(&run, error);
}

static void test_output_is_taken_line_by_line(void **state)
{
    run_script(*state, "#!/bin/sh\necho \"one $1 $#\"\necho two >&2\nprintf three\n", NULL);
    assert_string_equal(said.text, "one freeze 1\ntwo\nthree\n");
}

static void test_failure_says_the_last_line(void **state)
{
    run_script(*state, "#!/bin/sh\necho one\necho why\nexit 3\n", "exit status 3: why");
    run_script(*state, "#!/bin/sh\nkill -9 $$\n", "killed by signal 9 (Killed)");
}

static void test_without_interpreter_the_shell_runs_it(void **state)
{
    run_script(*state, "echo \"shell $1\"\n", NULL);
    assert_string_equal(said.text, "shell freeze\n");
}

static void test_what_cannot_be_executed_is_an_error(void **state)
{
    struct script_run run;
    char *path = files_path(*state, "none");

    assert_int_equal(script_run_start(path, "freeze", hear, &said, &run), 0);
    assert_int_equal(script_run_go(&run), -ENOENT);
    free(path);
}

/* So that a hook that is killed before it has noted the pid leaves nothing behind. */
static void test_it_does_not_begin_before_it_is_let_go(void **state)
{
    struct script_run run;
    char *path = files_path(*state, "script");
    char *mark = files_path(*state, "mark");
    char text[256];

    (void)snprintf(text, sizeof(text), "#!/bin/sh\n>%s\n", mark);
    files_write(*state, "script", text);
    files_mode(*state, "script", 0755);
    assert_int_equal(script_run_start(path, "freeze", hear, &said, &run), 0);
    assert_int_equal(wait_one(&run, SOON), -ETIMEDOUT);
    assert_int_not_equal(access(mark, F_OK), 0);
    script_run_cancel(&run);
    assert_true(run.ended);
    assert_int_not_equal(access(mark, F_OK), 0);
    assert_int_equal(script_run_start(path, "freeze", hear, &said, &run), 0);
    assert_int_equal(script_run_go(&run), 0);
    assert_int_equal(wait_one(&run, PATIENCE), 0);
    script_run_close(&run);
    assert_int_equal(access(mark, F_OK), 0);
    free(path);
    free(mark);
}

/* 50 MB: 64 KiB are kept, the script is not stopped, and its end is seen. */
static void test_a_flood_is_bounded_and_counted(void **state)
{
    run_script(*state, "#!/bin/sh\nyes 0123456 | head -c 50000000 && exit 5\n",
               "exit status 5: 0123456");
    assert_true(said.n <= SCRIPT_OUTPUT_MAX + 128);
    assert_non_null(strstr(said.text, "(49934464 bytes more were dropped)\n"));
}

static void test_a_long_line_is_split(void **state)
{
    run_script(*state, "#!/bin/sh\nyes x | head -n 2000 | tr -d '\\n'\n", NULL);
    assert_int_equal(said.lines, 3);
    assert_int_equal(said.n, 2000 + 3);
}

/* The child gets no SIGPIPE: it can say by a file that it has come through. */
static void test_a_background_child_keeps_its_pipe_and_not_us(void **state)
{
    char text[512];
    char *mark = files_path(*state, "mark");
    uint64_t before = now_usec();
    int fd;
    char c;

    files_check(mkfifo(mark, 0600) == 0, mark);
    (void)snprintf(text, sizeof(text),
                   "#!/bin/sh\n"
                   "{ read go <%s; head -c 300000 /dev/zero; echo $? >%s; } &\n"
                   "echo started\n",
                   mark, mark);
    run_script(*state, text, NULL);
    assert_true(now_usec() - before < PATIENCE / 2);
    assert_string_equal(said.text, "started\n");
    fd = open(mark, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "go\n", 3), 3);
    (void)close(fd);
    fd = open(mark, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, &c, 1), 1);
    assert_int_equal(c, '0');
    (void)close(fd);
    free(mark);
}

/* Orphans come to us: what is left of a group has to be reaped to be gone. */
static bool group_exists(pid_t pid)
{
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    return kill(-pid, 0) == 0;
}

static void test_a_late_one_is_killed_with_its_group(void **state)
{
    struct script_run run;

    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    start(*state, "#!/bin/sh\ntrap '' TERM\nsleep 60 &\nsleep 60\nwait\n", &run);
    assert_int_equal(wait_one(&run, SOON), -ETIMEDOUT);
    script_run_kill(&run, SOON);
    assert_true(run.ended);
    script_run_close(&run);
    for (int i = 0; i < 100 && group_exists(run.pid); i++) {
        (void)poll(NULL, 0, 10);
    }
    assert_false(group_exists(run.pid));
}

static void test_one_that_is_left_runs_on(void **state)
{
    struct script_run run;
    char *mark = files_path(*state, "mark");
    char text[256];
    char c;
    int fd;

    files_check(mkfifo(mark, 0600) == 0, mark);
    (void)snprintf(text, sizeof(text), "#!/bin/sh\nread go <%s\necho out\necho $? >%s\n", mark,
                   mark);
    start(*state, text, &run);
    assert_int_equal(wait_one(&run, SOON), -ETIMEDOUT);
    script_run_close(&run);
    assert_false(run.ended);
    fd = open(mark, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, "go\n", 3), 3);
    (void)close(fd);
    fd = open(mark, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, &c, 1), 1);
    assert_int_equal(c, '0');
    (void)close(fd);
    (void)waitpid(run.pid, NULL, 0);
    free(mark);
}

static void test_a_wake_up_ends_the_wait(void **state)
{
    struct script_run run;
    struct script_run *runs[] = { &run };
    int wake = eventfd(1, EFD_CLOEXEC);

    start(*state, "#!/bin/sh\nexec sleep 60\n", &run);
    assert_int_equal(script_run_wait(runs, 1, wake, now_usec() + PATIENCE), -EINTR);
    script_run_kill(&run, SOON);
    script_run_close(&run);
    assert_error(&run, "killed by signal 15 (Terminated)");
    (void)close(wake);
}

/* The mask in hexadecimal digits of /proc/PID/status; SIGPIPE is bit 12, the fourth digit. */
static void assert_sigpipe_is_not_ignored(void)
{
    const char *mask = strstr(said.text, "SigIgn:");
    size_t n;

    assert_non_null(mask);
    n = strcspn(mask, "\n");
    assert_true(n > 4);
    assert_null(strchr("13579bdf", mask[n - 4]));
}

/* As a shell has it: SIGPIPE is not ignored, nothing is blocked, no other descriptor. */
static void test_a_script_starts_clean(void **state)
{
    sigset_t term;

    (void)sigemptyset(&term);
    (void)sigaddset(&term, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &term, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    files_check(dup2(STDERR_FILENO, 77) == 77, "dup2"); /* not close-on-exec */
    run_script(*state,
               "#!/bin/sh\n"
               "grep -E '^Sig(Blk|Ign)' /proc/self/status\n"
               "[ -e /proc/$$/fd/77 ] && echo 'a descriptor leaked'\n"
               "[ /proc/$$/fd/0 -ef /dev/null ] && echo 'no input'\n"
               "read pid name state parent group rest </proc/$$/stat\n"
               "[ $group = $$ ] && echo 'its own group'\n",
               NULL);
    (void)close(77);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)sigprocmask(SIG_UNBLOCK, &term, NULL);
    assert_non_null(strstr(said.text, "SigBlk:\t0000000000000000\n"));
    assert_sigpipe_is_not_ignored();
    assert_null(strstr(said.text, "leaked"));
    assert_non_null(strstr(said.text, "no input\n"));
    assert_non_null(strstr(said.text, "its own group\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_output_is_taken_line_by_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failure_says_the_last_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_interpreter_the_shell_runs_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_executed_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_it_does_not_begin_before_it_is_let_go, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_flood_is_bounded_and_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_long_line_is_split, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_background_child_keeps_its_pipe_and_not_us, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_late_one_is_killed_with_its_group, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_that_is_left_runs_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_wake_up_ends_the_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_script_starts_clean, setup, teardown),
    };

    return cmocka_run_group_tests_name("script_run", tests, NULL, NULL);
}
