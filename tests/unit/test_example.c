/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_example.c: the example plugin, driven by a host of the test's own
 *
 * This is also how a plugin is tested without any other part of quiesced.
 */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/file.h>

#include "files.h"
#include "quiesced-plugin.h"
#include "util.h"

struct bench {
    struct quiesced_host host; /* first, as in the worker */
    char *dir;
    char error[256];
    char method[32];
    char inode[32];
    int cancel[2];      /* a pipe; readable: cancelled */
    unsigned polls;     /* how often cancel_fd() was asked for */
    unsigned cancel_at; /* which of these makes it readable, 0: none */
    void *self;
    int other_fd; /* the application's own descriptor of the file */
};

static struct bench *bench_of(const struct quiesced_host *host)
{
    return (struct bench *)(uintptr_t)host;
}

__attribute__((format(printf, 2, 3))) static void bench_error(const struct quiesced_host *host,
                                                              const char *format, ...)
{
    struct bench *bench = bench_of(host);
    char text[sizeof(bench->error)];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    assert_string_equal(bench->error, ""); /* once */
    memcpy(bench->error, text, sizeof(text));
}

__attribute__((format(printf, 3, 4))) static void bench_log(const struct quiesced_host *host,
                                                            enum quiesced_level level,
                                                            const char *format, ...)
{
    (void)host;
    (void)level;
    (void)format;
}

static void bench_text(const struct quiesced_host *host, const char *text)
{
    (void)snprintf(bench_of(host)->method, sizeof(bench_of(host)->method), "%s", text);
}

static void bench_coordinate(const struct quiesced_host *host, const char *key, const char *value)
{
    assert_string_equal(key, "inode");
    (void)snprintf(bench_of(host)->inode, sizeof(bench_of(host)->inode), "%s", value);
}

static uint32_t bench_left_ms(const struct quiesced_host *host, uint64_t deadline)
{
    (void)host;
    return (uint32_t)deadline_ms(deadline);
}

static int bench_cancel_fd(const struct quiesced_host *host)
{
    struct bench *bench = bench_of(host);

    bench->polls++;
    if (bench->polls == bench->cancel_at) {
        assert_int_equal(write(bench->cancel[1], "x", 1), 1);
    }
    return bench->cancel[0];
}

static uint64_t soon(void)
{
    return now_usec() + 10 * USEC_PER_SEC;
}

static char *lock_path(const struct bench *bench)
{
    return files_path(bench->dir, "lock");
}

static int other_open(const struct bench *bench)
{
    CLEANUP_FREE char *path = lock_path(bench);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    CLEANUP_FREE char *path = NULL;

    files_check(bench != NULL, "calloc");
    bench->dir = files_new();
    files_write(bench->dir, "lock", "");
    files_mode(bench->dir, "lock", 0600);
    files_check(pipe2(bench->cancel, O_CLOEXEC) == 0, "pipe2");
    bench->other_fd = other_open(bench);
    bench->host = (struct quiesced_host){
        .size = sizeof(bench->host),
        .abi = QUIESCED_ABI,
        .app = "main",
        .error = bench_error,
        .log = bench_log,
        .server = bench_text,
        .method = bench_text,
        .coordinate = bench_coordinate,
        .left_ms = bench_left_ms,
        .cancel_fd = bench_cancel_fd,
    };
    assert_int_equal(quiesced_plugin.create(&bench->host, &bench->self), 0);
    path = lock_path(bench);
    assert_int_equal(quiesced_plugin.option(bench->self, "path", path), 0);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    quiesced_plugin.destroy(bench->self);
    (void)close(bench->other_fd);
    (void)close(bench->cancel[0]);
    (void)close(bench->cancel[1]);
    files_remove(bench->dir);
    free(bench->dir);
    free(bench);
    return 0;
}

/* Could the application write? */
static bool application_waits(const struct bench *bench)
{
    if (flock(bench->other_fd, LOCK_EX | LOCK_NB) == 0) {
        (void)flock(bench->other_fd, LOCK_UN);
        return false;
    }
    assert_int_equal(errno, EWOULDBLOCK);
    return true;
}

static void hold(struct bench *bench)
{
    assert_int_equal(quiesced_plugin.prepare(bench->self, soon()), 0);
    assert_false(application_waits(bench));
    assert_int_equal(quiesced_plugin.freeze(bench->self, soon(), soon()), 0);
    assert_true(application_waits(bench));
}

static void replace_file(const struct bench *bench)
{
    CLEANUP_FREE char *path = lock_path(bench);
    CLEANUP_FREE char *other = files_path(bench->dir, "new");

    files_write(bench->dir, "new", "");
    files_mode(bench->dir, "new", 0600);
    assert_int_equal(rename(other, path), 0);
}

static void test_holds_until_thaw(void **state)
{
    struct bench *bench = *state;

    hold(bench);
    assert_int_equal(quiesced_plugin.check(bench->self, soon()), 0);
    assert_true(application_waits(bench));
    assert_int_equal(quiesced_plugin.thaw(bench->self, soon()), 0);
    assert_false(application_waits(bench));
    assert_string_equal(bench->error, "");
    assert_string_equal(bench->method, "flock");
    assert_true(strtoull(bench->inode, NULL, 10) > 0);
}

static void test_abort_lets_go(void **state)
{
    struct bench *bench = *state;

    hold(bench);
    quiesced_plugin.abort(bench->self);
    assert_false(application_waits(bench));
}

static void test_abort_before_anything(void **state)
{
    struct bench *bench = *state;

    quiesced_plugin.abort(bench->self);
}

static void test_missing_file_is_not_running(void **state)
{
    struct bench *bench = *state;
    CLEANUP_FREE char *path = lock_path(bench);

    assert_int_equal(unlink(path), 0);
    assert_int_equal(quiesced_plugin.prepare(bench->self, soon()), QUIESCED_NOT_RUNNING);
    assert_non_null(strstr(bench->error, path));
    quiesced_plugin.abort(bench->self);
}

static void test_no_regular_file(void **state)
{
    struct bench *bench = *state;
    CLEANUP_FREE char *path = lock_path(bench);

    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(quiesced_plugin.prepare(bench->self, soon()), -EINVAL);
    assert_non_null(strstr(bench->error, "not a regular file"));
}

static void test_relative_path(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(quiesced_plugin.option(bench->self, "path", "lock"), -EINVAL);
    assert_non_null(strstr(bench->error, "absolute"));
}

static void test_check_sees_a_replaced_file(void **state)
{
    struct bench *bench = *state;

    hold(bench);
    replace_file(bench);
    assert_int_equal(quiesced_plugin.check(bench->self, soon()), -ESTALE);
    assert_non_null(strstr(bench->error, "was replaced"));
    assert_true(application_waits(bench)); /* the old file's lock is still there */
}

static void test_thaw_sees_a_removed_file_and_lets_go(void **state)
{
    struct bench *bench = *state;
    CLEANUP_FREE char *path = lock_path(bench);

    hold(bench);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(quiesced_plugin.thaw(bench->self, soon()), -ENOENT);
    assert_non_null(strstr(bench->error, path));
    assert_false(application_waits(bench));
}

static void test_freeze_of_a_replaced_file_holds_nothing(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(quiesced_plugin.prepare(bench->self, soon()), 0);
    replace_file(bench);
    assert_int_equal(quiesced_plugin.freeze(bench->self, soon(), soon()), -ESTALE);
    assert_false(application_waits(bench));
}

static void test_waits_until_the_deadline(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(quiesced_plugin.prepare(bench->self, soon()), 0);
    assert_int_equal(flock(bench->other_fd, LOCK_EX), 0);
    assert_int_equal(quiesced_plugin.freeze(bench->self, now_usec() + 50 * USEC_PER_MSEC, soon()),
                     -ETIMEDOUT);
    assert_non_null(strstr(bench->error, "somebody else has the lock"));
    assert_true(bench->polls > 1);
    assert_int_equal(flock(bench->other_fd, LOCK_UN), 0);
    assert_false(application_waits(bench));
}

static void test_cancelled_while_it_waits(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(quiesced_plugin.prepare(bench->self, soon()), 0);
    assert_int_equal(flock(bench->other_fd, LOCK_EX), 0);
    bench->cancel_at = 3;
    assert_int_equal(quiesced_plugin.freeze(bench->self, soon(), soon()), -ECANCELED);
    assert_string_equal(bench->error, "");
    assert_int_equal(bench->polls, 3);
    quiesced_plugin.abort(bench->self);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_holds_until_thaw),
        TEST(test_abort_lets_go),
        TEST(test_abort_before_anything),
        TEST(test_missing_file_is_not_running),
        TEST(test_no_regular_file),
        TEST(test_relative_path),
        TEST(test_check_sees_a_replaced_file),
        TEST(test_thaw_sees_a_removed_file_and_lets_go),
        TEST(test_freeze_of_a_replaced_file_holds_nothing),
        TEST(test_waits_until_the_deadline),
        TEST(test_cancelled_while_it_waits),
    };

    (void)alarm(60); /* a plugin that waits for ever fails */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
