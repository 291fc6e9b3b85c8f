/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "files.h"
#include "hook_bench.h"
#include "util.h"

static char program[512];

static void set_directory(const char *name, const char *dir, const char *below)
{
    char *path = files_path(dir, below);

    files_check(setenv(name, path, 1) == 0, name);
    free(path);
}

int hook_setup(void **state)
{
    char *dir = files_new();
    char *hooks = NULL;

    files_mkdir(dir, "conf", 0755);
    files_mkdir(dir, "run", 0755);
    files_mkdir(dir, "state", 0755);
    files_mkdir(dir, "own", 0755);
    files_mkdir(dir, "legacy", 0755);
    set_directory("QUIESCED_CONFIG_DIR", dir, "conf");
    set_directory("QUIESCED_RUNTIME_DIR", dir, "run");
    set_directory("QUIESCED_STATE_DIR", dir, "state");
    set_directory("QUIESCED_LOG_FILE", dir, "log/hook.log");
    set_directory("TEST_DIR", dir, "");
    files_check(asprintf(&hooks, "%s/own:%s/legacy", dir, dir) >= 0, "asprintf");
    files_check(setenv("QUIESCED_HOOKS_PATH", hooks, 1) == 0, "setenv");
    free(hooks);
    *state = dir;
    return 0;
}

/* What a hook has left running ends with the directory; nothing may be left after it. */
int hook_teardown(void **state)
{
    files_remove(*state);
    free(*state);
    for (int i = 0; i < 500; i++) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);

        if (pid < 0) {
            return 0;
        }
        if (pid == 0) {
            (void)poll(NULL, 0, 10);
        }
    }
    return -1;
}

pid_t hook_start(const char *verb, int *ret_fd)
{
    int ends[2];
    pid_t pid;

    files_check(pipe2(ends, O_CLOEXEC) == 0, "pipe2");
    pid = fork();
    files_check(pid >= 0, "fork");
    if (pid == 0) {
        (void)signal(SIGPIPE, SIG_IGN);
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)dup2(ends[1], STDERR_FILENO);
        (void)execl(program, program, verb, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    *ret_fd = ends[0];
    return pid;
}

void hook_finish(pid_t pid, int fd, struct hook_outcome *ret_outcome)
{
    size_t n = 0;
    int status;

    for (;;) {
        ssize_t got = read(fd, ret_outcome->text + n, sizeof(ret_outcome->text) - 1 - n);

        if (got <= 0) {
            break;
        }
        n += (size_t)got;
    }
    ret_outcome->text[n] = '\0';
    (void)close(fd);
    files_check(waitpid(pid, &status, 0) == pid, "waitpid");
    ret_outcome->status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void hook_run(const char *verb, struct hook_outcome *ret_outcome)
{
    uint64_t before = now_usec();
    int fd;
    pid_t pid = hook_start(verb, &fd);

    hook_finish(pid, fd, ret_outcome);
    ret_outcome->usec = now_usec() - before;
}

void hook_assert(const char *verb, int status, const char *text)
{
    struct hook_outcome outcome;

    hook_run(verb, &outcome);
    if (strstr(outcome.text, text) == NULL || (text[0] == '\0' && outcome.text[0] != '\0')) {
        fail_msg("%s said '%s', not '%s'", verb, outcome.text, text);
    }
    assert_int_equal(outcome.status, status);
}

void hook_script(const char *dir, const char *name, const char *rest)
{
    char text[1024];

    (void)snprintf(text, sizeof(text),
                   "#!/bin/sh\necho \"${0##*/} $1\" >>\"$TEST_DIR/trace\"\n%s\n", rest);
    files_write(dir, name, text);
    files_mode(dir, name, 0755);
}

char *hook_read(const char *dir, const char *name)
{
    char *path = files_path(dir, name);
    char *text = calloc(1, 65536);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    files_check(text != NULL, "calloc");
    if (fd >= 0) {
        files_check(read(fd, text, 65535) >= 0, path);
        (void)close(fd);
    }
    free(path);
    return text;
}

void hook_assert_trace(const char *dir, const char *expected)
{
    char *text = hook_read(dir, "trace");
    char *path = files_path(dir, "trace");

    assert_string_equal(text, expected);
    (void)unlink(path);
    free(path);
    free(text);
}

void hook_wait_trace(const char *dir, const char *expected)
{
    for (int i = 0; i < 1000; i++) {
        char *text = hook_read(dir, "trace");
        bool same = strcmp(text, expected) == 0;

        free(text);
        if (same) {
            return;
        }
        (void)poll(NULL, 0, 10);
    }
    fail_msg("no '%s' in the trace", expected);
}

void hook_assert_record(const char *dir, const char *key, const char *expected)
{
    char *path = files_path(dir, "state/record.json");
    json_object *object = json_object_from_file(path);
    json_object *value = NULL;

    assert_non_null(object);
    assert_true(json_object_object_get_ex(object, key, &value));
    assert_string_equal(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN), expected);
    json_object_put(object);
    free(path);
}

void hook_settings(const char *dir, const char *text)
{
    files_write(dir, "conf/quiesced.conf", text);
}

bool hook_find(void)
{
    const char *builddir = getenv("QUIESCED_BUILDDIR");

    if (builddir == NULL) {
        (void)fputs("QUIESCED_BUILDDIR is not set\n", stderr);
        return false;
    }
    (void)snprintf(program, sizeof(program), "%s/fsfreeze-hook", builddir);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* what the hook leaves is ours to reap */
    return true;
}
