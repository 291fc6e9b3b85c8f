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

#include "fake_mysql.h"
#include "mysql_bench.h"
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
    char text[sizeof(bench->log)];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    assert_null(strstr(text, "secret"));
    if (level != QUIESCED_DEBUG) {
        memcpy(bench->log, text, sizeof(text));
    }
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

/* As the worker's, without the checks: those are its own. */
static int bench_open_trusted(const struct quiesced_host *host, const char *path, uint32_t flags,
                              int *ret_fd)
{
    struct bench *bench = bench_of(host);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        host->error(host, "cannot open '%s'", path);
        return -ENOENT;
    }
    bench->secret_files += (flags & QUIESCED_OPEN_SECRET) != 0;
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

void bench_set(struct bench *bench, const char *key, const char *value)
{
    assert_int_equal(quiesced_plugin.option(bench->self, key, value), 0);
}

void bench_configure(struct bench *bench, enum bench_flavour flavour)
{
    bench_set(bench, "user", "quiesced");
    bench_set(bench, "password", "secret");
    bench_set(bench, "remote", "no");
    if (flavour == BENCH_MARIADB_FTWRL) {
        bench_set(bench, "method", "ftwrl");
    }
    assert_int_equal(quiesced_plugin.ready(bench->self), 0);
}

static bool is_mariadb(enum bench_flavour flavour)
{
    return flavour == BENCH_MARIADB || flavour == BENCH_MARIADB_FTWRL;
}

void bench_expect_identity(enum bench_flavour flavour)
{
    const char *session = is_mariadb(flavour) ? SQL_SESSION_MARIADB : SQL_SESSION;

    fake_connect(1, BENCH_WHO);
    fake_connect(2, BENCH_WHO);
    if (is_mariadb(flavour)) {
        fake_query(1, SQL_IDENTIFY, "10.11.19-MariaDB-log|Debian 12|quiesced@localhost");
        fake_query(1, SQL_VARIABLES,
                   "innodb_flush_log_at_trx_commit|1\nlog_bin|ON\nserver_uid|u-i-d");
    } else {
        fake_query(1, SQL_IDENTIFY, "9.7.4|MySQL Community Server - GPL|quiesced@localhost");
        fake_query(1, SQL_VARIABLES,
                   flavour == BENCH_MYSQL_LAZY
                       ? "innodb_flush_log_at_trx_commit|0\nlog_bin|ON\nserver_uuid|u-u-i-d"
                       : "innodb_flush_log_at_trx_commit|1\nlog_bin|ON\nserver_uuid|u-u-i-d");
    }
    fake_query(1, session, NULL);
    fake_query(1, SQL_ID, "11");
    fake_query(2, session, NULL);
    fake_connect(3, BENCH_WHO);
    fake_query(3, session, NULL);
    fake_query(3, SQL_ID, "13");
}

void bench_expect_prepare(enum bench_flavour flavour)
{
    bench_expect_identity(flavour);
    if (is_mariadb(flavour)) {
        fake_query(2, SQL_GRANTS, BENCH_GRANT_MARIADB);
        fake_query(2, SQL_BINLOG, "bin.000001|1234||");
        fake_query(2, SQL_REPLICA_MARIADB, "");
    } else {
        fake_query(2, SQL_GRANTS,
                   "GRANT RELOAD, PROCESS, REPLICATION CLIENT ON *.* TO `quiesced`@`localhost`");
        fake_query(2, SQL_BINLOG_NEW, "bin.000001|1234|||");
        fake_query(2, SQL_REPLICA, "");
    }
}

void bench_expect_lock(enum bench_flavour flavour)
{
    if (flavour == BENCH_MARIADB) {
        fake_query(1, SQL_LIMITS_MARIADB, NULL);
        fake_query(1, SQL_START, NULL);
        fake_query(1, SQL_FLUSH, NULL);
        fake_query(1, SQL_BLOCK_DDL, NULL);
        fake_query(1, SQL_BLOCK_COMMIT, NULL);
    } else if (flavour == BENCH_MARIADB_FTWRL) {
        fake_query(2, SQL_PROCESSES_MARIADB, "");
        fake_query(1, SQL_LIMITS_MARIADB, NULL);
        fake_query(1, SQL_LOCK_MARIADB, NULL);
    } else {
        fake_query(2, SQL_PROCESSES, "");
        fake_query(1, SQL_LIMITS_MYSQL, NULL);
        fake_query(1, SQL_LOCK, NULL);
    }
    fake_close(3);
}

void bench_expect_coordinates(enum bench_flavour flavour)
{
    if (is_mariadb(flavour)) {
        fake_query(1, SQL_WHERE_MARIADB, "11|1|0-1-7|0-1-7|");
        fake_query(1, SQL_BINLOG, "bin.000001|1234||");
        fake_query(1, SQL_STATUS, "Innodb_lsn_current|46758\nUptime|1000");
    } else {
        fake_query(1, SQL_WHERE_MYSQL, "11|1|u-u-i-d:1-7");
        fake_query(1, SQL_BINLOG_NEW, "bin.000001|1234|||u-u-i-d:1-7");
        fake_query(1, SQL_STATUS, "Innodb_redo_log_current_lsn|46758\nUptime|1000");
    }
}

void bench_expect_hold(enum bench_flavour flavour)
{
    fake_query(1, SQL_LAZY, flavour == BENCH_MYSQL_LAZY ? "0" : "1");
    if (flavour == BENCH_MYSQL_LAZY) {
        fake_query(1, SQL_FLUSH_LOGS, NULL);
    }
    bench_expect_coordinates(flavour);
    if (is_mariadb(flavour)) {
        fake_query(1, SQL_REPLICA_MARIADB, "");
    } else {
        fake_query(1, SQL_REPLICA, "");
        fake_query_fails(1, SQL_LOG_STATUS, 1142, "SELECT command denied");
    }
}

void bench_expect_close(void)
{
    fake_close(1);
    fake_close(2);
}

void bench_expect_close_all(void)
{
    fake_close(1);
    fake_close(2);
    fake_close(3);
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

void bench_assert_error(const struct bench *bench, const char *words)
{
    if (strstr(bench->error, words) == NULL) {
        fail_msg("'%s' is not in '%s'", words, bench->error);
    }
}

struct bench *bench_prepared(void **state, enum bench_flavour flavour)
{
    struct bench *bench = *state;

    bench_configure(bench, flavour);
    bench_expect_prepare(flavour);
    assert_int_equal(bench_prepare(bench), 0);
    return bench;
}

struct bench *bench_held(void **state, enum bench_flavour flavour)
{
    struct bench *bench = bench_prepared(state, flavour);

    bench_expect_lock(flavour);
    bench_expect_hold(flavour);
    assert_int_equal(bench_freeze(bench), 0);
    return bench;
}
