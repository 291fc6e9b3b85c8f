/* SPDX-License-Identifier: GPL-2.0-or-later */
/* worker_bench.c: the daemon's side of one quiesced-worker with the fixture plugin */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "fixture.h"
#include "util.h"
#include "wire.h"
#include "worker_bench.h"

#define PATIENCE (20 * USEC_PER_SEC)

/* apps.d/main.conf, with @section besides what every test needs. */
void bench_configure(const struct bench *bench, const char *section)
{
    const char *dir = bench->dir;
    CLEANUP_FREE char *text = NULL;

    files_check(asprintf(&text,
                         "[app]\nplugin = fixture\n[fixture]\nlock = %s/lock\n"
                         "aborted = %s/aborted\n%s",
                         dir, dir, section) >= 0,
                "asprintf");
    files_write(bench->dir, "apps.d/main.conf", text);
    files_mode(bench->dir, "apps.d/main.conf", 0640);
}

int bench_setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    CLEANUP_FREE char *lock = NULL;

    files_check(bench != NULL, "calloc");
    bench->dir = files_new();
    files_mkdir(bench->dir, "apps.d", 0755);
    fixture_copy(bench->dir, "fixture.so", "fixture.so");
    files_write(bench->dir, "lock", "");
    files_mode(bench->dir, "lock", 0600);
    lock = files_path(bench->dir, "lock");
    bench->lock_fd = open(lock, O_RDONLY | O_CLOEXEC);
    files_check(bench->lock_fd >= 0, lock);
    bench->fd = -1;
    bench_configure(bench, "");
    *state = bench;
    return 0;
}

int bench_teardown(void **state)
{
    struct bench *bench = *state;

    bench->fd = util_close(bench->fd);
    if (bench->pid > 0) {
        (void)kill(bench->pid, SIGKILL);
        (void)waitpid(bench->pid, NULL, 0);
    }
    (void)close(bench->lock_fd);
    files_remove(bench->dir);
    free(bench->dir);
    free(bench);
    return 0;
}

/* Runs in the child: becomes the worker. */
void bench_exec(const struct bench *bench, int fd, pid_t parent)
{
    CLEANUP_FREE char *program = fixture_built("quiesced-worker");
    char number[32];
    const char *dir = bench->dir;
    int null = open("/dev/null", O_RDWR);
    int high = fcntl(fd, F_DUPFD, 10);

    (void)snprintf(number, sizeof(number), "%d", (int)parent);
    /* stderr stays the test's: a sanitizer has something to say there */
    if (null < 0 || high < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(high, 3) < 0) {
        _exit(100);
    }
    (void)execl(program, "quiesced-worker", "--app", "main", "--parent", number, "--config-dir",
                dir, "--plugin-dir", dir, (char *)NULL);
    _exit(101);
}

void bench_start_as(struct bench *bench, pid_t parent)
{
    int pair[2];

    files_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
    bench->pid = fork();
    files_check(bench->pid >= 0, "fork");
    if (bench->pid == 0) {
        bench_exec(bench, pair[1], parent);
    }
    (void)close(pair[1]);
    bench->fd = pair[0];
}

void bench_start(struct bench *bench)
{
    bench_start_as(bench, getpid());
}

static int worker_wait(struct bench *bench)
{
    int status;

    assert_true(waitpid(bench->pid, &status, 0) > 0); /* alarm() ends it */
    bench->pid = 0;
    return status;
}

void assert_exits(struct bench *bench, int code)
{
    int status = worker_wait(bench);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
}

void assert_killed(struct bench *bench)
{
    int status = worker_wait(bench);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

bool application_waits(const struct bench *bench)
{
    if (flock(bench->lock_fd, LOCK_EX | LOCK_NB) == 0) {
        (void)flock(bench->lock_fd, LOCK_UN);
        return false;
    }
    assert_int_equal(errno, EWOULDBLOCK);
    return true;
}

bool plugin_aborted(const struct bench *bench)
{
    CLEANUP_FREE char *path = files_path(bench->dir, "aborted");

    return access(path, F_OK) == 0;
}

__attribute__((format(printf, 2, 3))) void bench_send(const struct bench *bench, const char *format,
                                                      ...)
{
    CLEANUP_FREE char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    files_check(vasprintf(&text, format, arguments) >= 0, "vasprintf");
    va_end(arguments);
    assert_int_equal(send(bench->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

void ask_prepare(const struct bench *bench)
{
    bench_send(bench,
               "{\"do\":\"prepare\",\"protocol\":%d,\"plugin\":\"fixture\",\"deadline\":%ju}",
               WIRE_PROTOCOL, (uintmax_t)(now_usec() + PATIENCE));
}

void ask_freeze(const struct bench *bench, uint64_t hold)
{
    bench_send(bench, "{\"do\":\"freeze\",\"deadline\":%ju,\"hold_deadline\":%ju}",
               (uintmax_t)(now_usec() + PATIENCE), (uintmax_t)(now_usec() + hold));
}

void ask(const struct bench *bench, const char *what)
{
    bench_send(bench, "{\"do\":\"%s\",\"deadline\":%ju}", what, (uintmax_t)(now_usec() + PATIENCE));
}

/* The next packet, or NULL at the end. */
static json_object *next_packet(const struct bench *bench)
{
    struct pollfd worker = { .fd = bench->fd, .events = POLLIN };
    json_object *packet = NULL;
    int r;

    assert_int_equal(poll(&worker, 1, deadline_ms(now_usec() + PATIENCE)), 1);
    r = wire_receive(bench->fd, &packet);
    if (r == -EPIPE) {
        return NULL;
    }
    assert_int_equal(r, 0);
    return packet;
}

/* Takes a log packet into account, and says whether it was one. */
static bool take_log(struct bench *bench, json_object *packet)
{
    const char *message;
    size_t n = strlen(bench->calls);

    if (wire_get_string(packet, "message", &message) < 0) {
        return false;
    }
    if (strncmp(message, "call ", 5) == 0) {
        (void)snprintf(bench->calls + n, sizeof(bench->calls) - n, "%s ", message + 5);
    }
    if (strncmp(message, "flood ", 6) == 0) {
        bench->floods++;
    }
    return true;
}

/* The next packet that is no log, or NULL at the end. */
json_object *bench_reply(struct bench *bench)
{
    json_object *packet = next_packet(bench);

    while (packet != NULL && take_log(bench, packet)) {
        (void)json_object_put(packet);
        packet = next_packet(bench);
    }
    return packet;
}

/* Reads on until @call has begun. */
void bench_wait_for_call(struct bench *bench, const char *call)
{
    while (strstr(bench->calls, call) == NULL) {
        json_object *packet = next_packet(bench);

        assert_non_null(packet);
        assert_true(take_log(bench, packet));
        (void)json_object_put(packet);
    }
}

void assert_member(json_object *object, const char *key, const char *expected)
{
    const char *text = NULL;

    assert_non_null(object);
    if (expected == NULL) {
        assert_false(json_object_object_get_ex(object, key, NULL));
        return;
    }
    assert_int_equal(wire_get_string(object, key, &text), 0);
    assert_string_equal(text, expected);
}

void assert_reply(struct bench *bench, const char *name, const char *result, const char *error)
{
    json_object *reply = bench_reply(bench);

    assert_member(reply, "reply", name);
    assert_member(reply, "error", error);
    assert_member(reply, "result", result);
    (void)json_object_put(reply);
}

void assert_reply_has(struct bench *bench, const char *name, const char *in_error)
{
    json_object *reply = bench_reply(bench);
    const char *error = NULL;

    assert_member(reply, "reply", name);
    assert_member(reply, "result", "failed");
    assert_int_equal(wire_get_string(reply, "error", &error), 0);
    if (strstr(error, in_error) == NULL) {
        fail_msg("'%s' does not say '%s'", error, in_error);
    }
    (void)json_object_put(reply);
}

void assert_lost(struct bench *bench, const char *why)
{
    json_object *packet = bench_reply(bench);

    assert_member(packet, "lost", why);
    (void)json_object_put(packet);
}

/* No reply is left, only what the plugin still says. */
void assert_end(struct bench *bench)
{
    assert_null(bench_reply(bench));
}

void assert_prepared(struct bench *bench)
{
    bench_start(bench);
    ask_prepare(bench);
    assert_reply(bench, "prepare", "ok", NULL);
}

void assert_held(struct bench *bench, uint64_t hold)
{
    assert_prepared(bench);
    assert_false(application_waits(bench));
    ask_freeze(bench, hold);
    assert_reply(bench, "freeze", "ok", NULL);
    assert_true(application_waits(bench));
}

/* After a failure the worker waits for the abort. */
void assert_abort_ends(struct bench *bench)
{
    ask(bench, "abort");
    assert_reply(bench, "abort", "ok", NULL);
    assert_end(bench);
    assert_exits(bench, 0);
    assert_false(application_waits(bench));
}
