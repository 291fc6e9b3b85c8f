/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_libpq.h"
#include "postgresql_bench.h"
#include "util.h"

/* For the two callbacks that have no argument */
static struct bench *the_bench;

static struct bench *bench_of(const struct quiesced_host *host)
{
    return (struct bench *)(uintptr_t)host;
}

__attribute__((format(printf, 2, 3))) static void bench_error(const struct quiesced_host *host,
                                                              const char *format, ...)
{
    struct bench *bench = bench_of(host);
    va_list arguments;

    assert_string_equal(bench->error, ""); /* once */
    va_start(arguments, format);
    (void)vsnprintf(bench->error, sizeof(bench->error), format, arguments);
    va_end(arguments);
    assert_null(strchr(bench->error, '\n'));
    assert_null(strstr(bench->error, "secret"));
}

__attribute__((format(printf, 3, 4))) static void bench_log(const struct quiesced_host *host,
                                                            enum quiesced_level level,
                                                            const char *format, ...)
{
    struct bench *bench = bench_of(host);
    va_list arguments;
    size_t used = strlen(bench->log);

    if (level == QUIESCED_DEBUG) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(bench->log + used, sizeof(bench->log) - used, format, arguments);
    va_end(arguments);
    assert_null(strstr(bench->log, "secret"));
    used = strlen(bench->log);
    (void)snprintf(bench->log + used, sizeof(bench->log) - used, "\n");
    bench->warnings += level == QUIESCED_WARNING;
}

static void bench_server(const struct quiesced_host *host, const char *text)
{
    (void)snprintf(bench_of(host)->server, sizeof(bench_of(host)->server), "%s", text);
}

static void bench_method(const struct quiesced_host *host, const char *text)
{
    (void)snprintf(bench_of(host)->method, sizeof(bench_of(host)->method), "%s", text);
}

static void bench_coordinate(const struct quiesced_host *host, const char *key, const char *value)
{
    struct bench *bench = bench_of(host);
    size_t used = strlen(bench->coordinates);

    (void)snprintf(bench->coordinates + used, sizeof(bench->coordinates) - used, "%s=%s;", key,
                   value);
}

static uint32_t bench_left_ms(const struct quiesced_host *host, uint64_t deadline)
{
    uint64_t left = sub_usec(deadline, bench_of(host)->clock) / USEC_PER_MSEC;

    return left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}

static int bench_cancel_fd(const struct quiesced_host *host)
{
    return bench_of(host)->cancel[0];
}

/* The worker's trust is tested elsewhere. */
static int bench_open_trusted(const struct quiesced_host *host, const char *path, uint32_t flags,
                              int *ret_fd)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        int r = -errno;

        host->error(host, "cannot open '%s'%s", path,
                    (flags & QUIESCED_OPEN_SECRET) != 0 ? ", which should be private" : "");
        return r;
    }
    *ret_fd = fd;
    return 0;
}

int bench_setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    assert_non_null(bench);
    assert_int_equal(pipe2(bench->cancel, O_CLOEXEC), 0);
    bench->base = now_usec();
    bench->clock = bench->base;
    bench->host = (struct quiesced_host){
        .size = sizeof(bench->host),
        .abi = QUIESCED_ABI,
        .app = "main",
        .error = bench_error,
        .log = bench_log,
        .server = bench_server,
        .method = bench_method,
        .coordinate = bench_coordinate,
        .left_ms = bench_left_ms,
        .cancel_fd = bench_cancel_fd,
        .open_trusted = bench_open_trusted,
    };
    fake_begin();
    assert_int_equal(quiesced_plugin.create(&bench->host, &bench->self), 0);
    the_bench = bench;
    *state = bench;
    return 0;
}

int bench_teardown(void **state)
{
    struct bench *bench = *state;

    quiesced_plugin.destroy(bench->self);
    (void)close(bench->cancel[0]);
    (void)close(bench->cancel[1]);
    free(bench);
    fake_end();
    return 0;
}

int bench_option(struct bench *bench, const char *key, const char *value)
{
    bench->error[0] = '\0';
    return quiesced_plugin.option(bench->self, key, value);
}

int bench_ready(struct bench *bench)
{
    bench->error[0] = '\0';
    return quiesced_plugin.ready(bench->self);
}

void bench_configure(struct bench *bench)
{
    assert_int_equal(bench_option(bench, "conninfo", "user=quiesced"), 0);
    assert_int_equal(bench_option(bench, "password", "secret"), 0);
    assert_int_equal(bench_option(bench, "remote", "no"), 0);
    assert_int_equal(bench_option(bench, "checkpoint", "try"), 0);
    assert_int_equal(bench_ready(bench), 0);
}

void bench_expect_identity(void)
{
    fake_connect(BENCH_WHO);
    fake_query(SQL_LIMITS_PREPARE, "pg_catalog\n9750\n0\n500");
    fake_query(SQL_IDENTIFY, ROW_IDENTITY);
}

void bench_expect_prepare(void)
{
    bench_expect_identity();
    fake_query(SQL_LIMITS_TRY, "");
    fake_query(SQL_CHECKPOINT, NULL);
}

void bench_expect_where(const char *limits)
{
    fake_query(limits, "");
    fake_query(SQL_WHERE, ROW_HELD);
}

static uint64_t bench_in(struct bench *bench, unsigned int ms)
{
    bench->error[0] = '\0';
    return bench->base + ms * USEC_PER_MSEC;
}

int bench_prepare(struct bench *bench)
{
    return quiesced_plugin.prepare(bench->self, bench_in(bench, BENCH_PREPARE_MS));
}

int bench_freeze(struct bench *bench)
{
    return quiesced_plugin.freeze(bench->self, bench_in(bench, BENCH_FREEZE_MS),
                                  bench->base + BENCH_HOLD_MS * USEC_PER_MSEC);
}

int bench_check(struct bench *bench)
{
    return quiesced_plugin.check(bench->self, bench_in(bench, BENCH_CHECK_MS));
}

int bench_thaw(struct bench *bench)
{
    return quiesced_plugin.thaw(bench->self, bench_in(bench, BENCH_CHECK_MS));
}

void bench_abort(struct bench *bench)
{
    quiesced_plugin.abort(bench->self);
}

void bench_late(void)
{
    the_bench->clock = the_bench->base + 3600 * USEC_PER_SEC;
}

void bench_cancel(void)
{
    assert_int_equal(write(the_bench->cancel[1], "x", 1), 1);
}

static void assert_has(const char *text, const char *words)
{
    if (strstr(text, words) == NULL) {
        fail_msg("'%s' is not in '%s'", words, text);
    }
}

void bench_assert_error(const struct bench *bench, const char *words)
{
    assert_has(bench->error, words);
}

void bench_assert_logged(const struct bench *bench, const char *words)
{
    assert_has(bench->log, words);
}

struct bench *bench_prepared(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    bench_expect_prepare();
    assert_int_equal(bench_prepare(bench), 0);
    return bench;
}

struct bench *bench_held(void **state)
{
    struct bench *bench = bench_prepared(state);

    bench_expect_where(SQL_LIMITS_FREEZE);
    assert_int_equal(bench_freeze(bench), 0);
    return bench;
}
