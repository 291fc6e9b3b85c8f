/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_mysql.c: the mysql plugin from prepare to freeze, on a scripted client library
 *
 * Each test says which statements it expects; see fake_mysql.h. Session 1 is the
 * lock's, session 2 the one that can end its wait.
 */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>

#include "fake_mysql.h"
#include "mysql_bench.h"

#define LONG_UPDATE                                                                \
    "7|app|localhost|t|Query|9|updating|UPDATE t SET a = 'hidden'\n"               \
    "8|app|localhost|t|Query|4|Waiting for backup lock|INSERT INTO t VALUES (1)\n" \
    "11|quiesced|localhost|NULL|Sleep|0||NULL"

static void test_mariadb_is_held_and_let_go(void **state)
{
    struct bench *bench = bench_held(state, BENCH_MARIADB);

    assert_string_equal(bench->server, "MariaDB 10.11.19");
    assert_string_equal(bench->method, "ftwrl");
    assert_string_equal(bench->coordinates,
                        "server-uuid=u-i-d;connection-id=11;server-id=1;binlog-file=bin.000001;"
                        "binlog-position=1234;gtid-binlog-pos=0-1-7;gtid-current-pos=0-1-7;"
                        "lsn=46758;");
    assert_int_equal(bench->warnings, 0);
    bench_expect_coordinates(BENCH_MARIADB);
    assert_int_equal(bench_check(bench), 0);
    bench_expect_coordinates(BENCH_MARIADB);
    fake_query(1, SQL_UNLOCK, NULL);
    bench_expect_close();
    assert_int_equal(bench_thaw(bench), 0);
}

static void test_mysql_is_held_and_let_go(void **state)
{
    struct bench *bench = bench_held(state, BENCH_MYSQL);

    assert_string_equal(bench->server, "MySQL 9.7.4");
    assert_string_equal(bench->coordinates,
                        "server-uuid=u-u-i-d;connection-id=11;server-id=1;binlog-file=bin.000001;"
                        "binlog-position=1234;gtid-executed=u-u-i-d:1-7;lsn=46758;");
    bench_expect_coordinates(BENCH_MYSQL);
    fake_query(1, SQL_UNLOCK, NULL);
    bench_expect_close();
    assert_int_equal(bench_thaw(bench), 0);
}

static void test_abort_closes_without_a_word(void **state)
{
    struct bench *bench = bench_held(state, BENCH_MARIADB);

    bench_expect_close();
    bench_abort(bench);
}

static void test_the_lock_session_is_watched(void **state)
{
    struct bench *bench = bench_held(state, BENCH_MARIADB);
    struct pollfd fd = { .fd = quiesced_plugin.watch_fd(bench->self), .events = POLLIN };

    assert_true(fd.fd >= 0);
    assert_int_equal(poll(&fd, 1, 0), 0);
    bench_expect_close();
    bench_abort(bench);
    assert_int_equal(quiesced_plugin.watch_fd(bench->self), -1);
}

/* prepare */

static void refuses_to_connect(void **state, unsigned int code, const char *text, int result)
{
    struct bench *bench = *state;

    bench_configure(bench);
    fake_connect_fails(1, BENCH_WHO, code, text);
    fake_close(1);
    assert_int_equal(bench_prepare(bench), result);
    bench_assert_error(bench, "/run/mysqld/mysqld.sock");
    bench_assert_error(bench, text);
}

static void test_wrong_password(void **state)
{
    refuses_to_connect(state, 1045, "Access denied for user 'quiesced'@'localhost'", -EREMOTEIO);
}

static void test_no_socket_is_not_running(void **state)
{
    refuses_to_connect(state, 2002, "Can't connect to local server through socket '/x' (2)",
                       QUIESCED_NOT_RUNNING);
}

static void test_refused_is_not_running(void **state)
{
    refuses_to_connect(state, 2003, "Can't connect to MySQL server on 'localhost:3306' (111)",
                       QUIESCED_NOT_RUNNING);
}

static void test_forbidden_socket_is_a_failure(void **state)
{
    refuses_to_connect(state, 2002, "Can't connect to local server through socket '/x' (13)",
                       -EREMOTEIO);
}

static void test_too_many_connections(void **state)
{
    refuses_to_connect(state, 1040, "Too many connections", -EREMOTEIO);
}

static void test_too_many_connections_for_the_second(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    fake_connect(1, BENCH_WHO);
    fake_connect_fails(2, BENCH_WHO, 1040, "Too many connections");
    fake_close(2);
    assert_int_equal(bench_prepare(bench), -EREMOTEIO);
    bench_assert_error(bench, "Too many connections");
    fake_close(1);
    bench_abort(bench);
}

static void lacks_rights(void **state, enum bench_flavour flavour, const char *grants,
                         const char *statement)
{
    struct bench *bench = *state;

    bench_configure(bench);
    bench_expect_identity(flavour);
    fake_query(2, SQL_GRANTS, grants);
    assert_int_equal(bench_prepare(bench), -EACCES);
    bench_assert_error(bench, statement);
    bench_expect_close();
    bench_abort(bench);
}

static void test_missing_right_on_mariadb(void **state)
{
    lacks_rights(state, BENCH_MARIADB,
                 "GRANT PROCESS ON *.* TO `quiesced`@`localhost`\n"
                 "GRANT ALL PRIVILEGES ON `t`.* TO `quiesced`@`localhost`",
                 BENCH_GRANT_MARIADB);
}

static void test_missing_right_on_mysql(void **state)
{
    lacks_rights(state, BENCH_MYSQL, "GRANT USAGE ON *.* TO `quiesced`@`localhost`",
                 "GRANT FLUSH_TABLES, PROCESS, REPLICATION CLIENT ON *.* TO "
                 "'quiesced'@'localhost'");
}

static void test_missing_right_to_flush_the_redo_log(void **state)
{
    lacks_rights(state, BENCH_MYSQL_LAZY, "GRANT FLUSH_TABLES ON *.* TO `quiesced`@`localhost`",
                 "GRANT RELOAD, PROCESS, REPLICATION CLIENT ON *.* TO 'quiesced'@'localhost'");
}

static void test_missing_lesser_rights_are_warnings(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    bench_expect_identity(BENCH_MYSQL);
    fake_query(2, SQL_GRANTS, "GRANT FLUSH_TABLES ON *.* TO `quiesced`@`localhost`");
    fake_query_fails(2, SQL_BINLOG_NEW, 1227, "Access denied");
    assert_int_equal(bench_prepare(bench), 0);
    assert_int_equal(bench->warnings, 2);
    assert_non_null(strstr(bench->log, "GRANT FLUSH_TABLES, PROCESS, REPLICATION CLIENT"));
    bench_expect_close();
    bench_abort(bench);
}

static void test_the_other_spelling_is_tried(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    bench_expect_identity(BENCH_MYSQL);
    fake_query(2, SQL_GRANTS, "GRANT ALL PRIVILEGES ON *.* TO `quiesced`@`localhost`");
    fake_query_fails(2, SQL_BINLOG_NEW, 1064, "You have an error in your SQL syntax");
    fake_query(2, SQL_BINLOG, "bin.000001|1234|||");
    assert_int_equal(bench_prepare(bench), 0);
    assert_int_equal(bench->warnings, 0);
    bench_expect_close();
    bench_abort(bench);
}

static void test_prepare_is_late(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    fake_connect(1, BENCH_WHO);
    fake_connect(2, BENCH_WHO);
    fake_query_silent(1, SQL_IDENTIFY);
    fake_then(bench_late);
    assert_int_equal(bench_prepare(bench), -ETIMEDOUT);
    bench_assert_error(bench, "no answer in time");
    bench_expect_close();
    bench_abort(bench);
}

/* freeze */

static void test_late_lock_is_killed_and_closed(void **state)
{
    struct bench *bench = bench_prepared(state, BENCH_MARIADB);

    fake_query(1, SQL_LIMITS_MARIADB, NULL);
    fake_query_silent(1, SQL_LOCK_MARIADB);
    fake_then(bench_late);
    fake_query(2, SQL_KILL, NULL);
    fake_close(1);
    fake_query(2, SQL_PROCESSES, LONG_UPDATE);
    assert_int_equal(bench_freeze(bench), -ETIMEDOUT);
    bench_assert_error(bench, "4500 ms");
    bench_assert_error(bench, "statement 7 of user 'app', running for 9 s in state 'updating'");
    assert_null(strstr(bench->error, "hidden"));
    fake_close(2);
    bench_abort(bench);
}

static void test_cancelled_lock_is_killed_and_closed(void **state)
{
    struct bench *bench = bench_prepared(state, BENCH_MARIADB);

    fake_query(1, SQL_LIMITS_MARIADB, NULL);
    fake_query_silent(1, SQL_LOCK_MARIADB);
    fake_then(bench_cancel);
    fake_query(2, SQL_KILL, NULL);
    fake_close(1);
    assert_int_equal(bench_freeze(bench), -ECANCELED);
    assert_string_equal(bench->error, "");
    fake_close(2);
    bench_abort(bench);
}

static void lock_refused(void **state, enum bench_flavour flavour, unsigned int code,
                         const char *text, int result)
{
    struct bench *bench = bench_prepared(state, flavour);
    bool mariadb = flavour == BENCH_MARIADB;

    if (!mariadb) {
        fake_query(2, SQL_PROCESSES, "");
    }
    fake_query(1, mariadb ? SQL_LIMITS_MARIADB : SQL_LIMITS_MYSQL, NULL);
    fake_query_fails(1, mariadb ? SQL_LOCK_MARIADB : SQL_LOCK, code, text);
    if (code >= 2000) {
        fake_close(1);
    }
    fake_query(2, SQL_KILL, NULL);
    if (code < 2000) {
        fake_close(1);
    }
    if (result == -ETIMEDOUT) {
        fake_query(2, SQL_PROCESSES, LONG_UPDATE);
    }
    assert_int_equal(bench_freeze(bench), result);
    bench_assert_error(bench, text);
    fake_close(2);
    bench_abort(bench);
}

static void test_lock_wait_timeout_on_mysql(void **state)
{
    lock_refused(state, BENCH_MYSQL, 1205, "Lock wait timeout exceeded", -ETIMEDOUT);
}

static void test_statement_timeout_on_mariadb(void **state)
{
    lock_refused(state, BENCH_MARIADB, 1969, "max_statement_time exceeded", -ETIMEDOUT);
}

static void test_lock_refused_for_lack_of_rights(void **state)
{
    lock_refused(state, BENCH_MARIADB, 1227, "you need the RELOAD privilege", -EACCES);
}

static void test_session_lost_while_it_waits(void **state)
{
    lock_refused(state, BENCH_MARIADB, 2013, "Lost connection", -ENOTCONN);
}

static void test_long_statement_on_mysql_is_not_waited_for(void **state)
{
    struct bench *bench = bench_prepared(state, BENCH_MYSQL);

    fake_query(2, SQL_PROCESSES,
               "5|event_scheduler|localhost|NULL|Daemon|900|Waiting on empty queue|NULL\n"
               "7|app|localhost|t|Query|3|executing|SELECT * FROM t\n"
               "11|quiesced|localhost|NULL|Sleep|0||NULL");
    fake_close(1);
    assert_int_equal(bench_freeze(bench), -EBUSY);
    bench_assert_error(bench, "statement 7 of user 'app', running for 3 s in state 'executing'");
    fake_close(2);
    bench_abort(bench);
}

static void test_redo_log_is_flushed_on_mysql(void **state)
{
    struct bench *bench = bench_held(state, BENCH_MYSQL_LAZY);

    bench_expect_close();
    bench_abort(bench);
}

static void test_redo_log_is_awaited_on_mariadb(void **state)
{
    struct bench *bench = bench_prepared(state, BENCH_MARIADB);

    bench_expect_lock(BENCH_MARIADB);
    fake_query(1, SQL_LAZY, "0");
    fake_query(1, SQL_LSN, "Innodb_lsn_current|200\nInnodb_lsn_flushed|100");
    fake_query(1, SQL_LSN, "Innodb_lsn_current|300\nInnodb_lsn_flushed|199");
    fake_query(1, SQL_LSN, "Innodb_lsn_current|400\nInnodb_lsn_flushed|200");
    bench_expect_coordinates(BENCH_MARIADB);
    assert_int_equal(bench_freeze(bench), 0);
    bench_expect_close();
    bench_abort(bench);
}

static void test_redo_log_is_late(void **state)
{
    struct bench *bench = bench_prepared(state, BENCH_MARIADB);

    bench_expect_lock(BENCH_MARIADB);
    fake_query(1, SQL_LAZY, "0");
    fake_query(1, SQL_LSN, "Innodb_lsn_current|200\nInnodb_lsn_flushed|100");
    fake_then(bench_late);
    fake_close(1);
    assert_int_equal(bench_freeze(bench), -ETIME);
    bench_assert_error(bench, "innodb_flush_log_at_trx_commit is 0");
    fake_close(2);
    bench_abort(bench);
}

static void test_no_innodb(void **state)
{
    struct bench *bench = bench_prepared(state, BENCH_MARIADB);

    bench_expect_lock(BENCH_MARIADB);
    fake_query_fails(1, SQL_LAZY, 1193, "Unknown system variable");
    bench_expect_coordinates(BENCH_MARIADB);
    assert_int_equal(bench_freeze(bench), 0);
    bench_expect_close();
    bench_abort(bench);
}

static void test_session_lost_under_the_lock(void **state)
{
    struct bench *bench = bench_prepared(state, BENCH_MARIADB);

    bench_expect_lock(BENCH_MARIADB);
    fake_query(1, SQL_LAZY, "1");
    fake_query_fails(1, SQL_WHERE_MARIADB, 2013, "Lost connection");
    fake_close(1);
    assert_int_equal(bench_freeze(bench), -ENOTCONN);
    bench_assert_error(bench, "Lost connection");
    fake_close(2);
    bench_abort(bench);
}

static void test_missing_rights_are_found_under_the_lock(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    bench_expect_identity(BENCH_MARIADB);
    fake_query(2, SQL_GRANTS, "GRANT RELOAD, PROCESS ON *.* TO `quiesced`@`localhost`");
    fake_query_fails(2, SQL_BINLOG, 1227, "Access denied");
    bench_expect_lock(BENCH_MARIADB);
    fake_query(1, SQL_LAZY, "1");
    fake_query(1, SQL_WHERE_MARIADB, "11|1|0-1-7|0-1-7|");
    fake_query_fails(1, SQL_BINLOG, 1227, "Access denied");
    fake_query(1, SQL_STATUS, "Uptime|1000");
    assert_int_equal(bench_prepare(bench), 0);
    assert_int_equal(bench->warnings, 1);
    assert_int_equal(bench_freeze(bench), 0);
    assert_null(strstr(bench->coordinates, "binlog-file"));
    bench_expect_close();
    bench_abort(bench);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_mariadb_is_held_and_let_go),
        TEST(test_mysql_is_held_and_let_go),
        TEST(test_abort_closes_without_a_word),
        TEST(test_the_lock_session_is_watched),
        TEST(test_wrong_password),
        TEST(test_no_socket_is_not_running),
        TEST(test_refused_is_not_running),
        TEST(test_forbidden_socket_is_a_failure),
        TEST(test_too_many_connections),
        TEST(test_too_many_connections_for_the_second),
        TEST(test_missing_right_on_mariadb),
        TEST(test_missing_right_on_mysql),
        TEST(test_missing_right_to_flush_the_redo_log),
        TEST(test_missing_lesser_rights_are_warnings),
        TEST(test_the_other_spelling_is_tried),
        TEST(test_prepare_is_late),
        TEST(test_late_lock_is_killed_and_closed),
        TEST(test_cancelled_lock_is_killed_and_closed),
        TEST(test_lock_wait_timeout_on_mysql),
        TEST(test_statement_timeout_on_mariadb),
        TEST(test_lock_refused_for_lack_of_rights),
        TEST(test_session_lost_while_it_waits),
        TEST(test_long_statement_on_mysql_is_not_waited_for),
        TEST(test_redo_log_is_flushed_on_mysql),
        TEST(test_redo_log_is_awaited_on_mariadb),
        TEST(test_redo_log_is_late),
        TEST(test_no_innodb),
        TEST(test_session_lost_under_the_lock),
        TEST(test_missing_rights_are_found_under_the_lock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
