/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_mysql.c: the mysql plugin's whole way, and its prepare, on a scripted library
 *
 * Each test says which statements it expects; see fake_mysql.h. Session 1 is the
 * lock's, session 2 the one that can end its wait, session 3 the spare.
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

static void test_mariadb_is_held_and_let_go(void **state)
{
    struct bench *bench = bench_held(state, BENCH_MARIADB);

    assert_string_equal(bench->server, "MariaDB 10.11.19");
    assert_string_equal(bench->method, "backup-stage");
    assert_string_equal(bench->coordinates,
                        "method-reason=auto: the server has it, and it does not wait for InnoDB's "
                        "writes;lock-tries=1;lock-wait-ms=0;longest-stall-ms=0;"
                        "server-uuid=u-i-d;connection-id=11;server-id=1;binlog-file=bin.000001;"
                        "binlog-position=1234;gtid-binlog-pos=0-1-7;gtid-current-pos=0-1-7;"
                        "lsn=46758;");
    assert_int_equal(bench->warnings, 0);
    bench_expect_coordinates(BENCH_MARIADB);
    assert_int_equal(bench_check(bench), 0);
    bench_expect_coordinates(BENCH_MARIADB);
    fake_query(1, SQL_END, NULL);
    bench_expect_close();
    assert_int_equal(bench_thaw(bench), 0);
}

static void test_mysql_is_held_and_let_go(void **state)
{
    struct bench *bench = bench_held(state, BENCH_MYSQL);

    assert_string_equal(bench->server, "MySQL 9.7.4");
    assert_string_equal(bench->method, "ftwrl");
    assert_string_equal(
        bench->coordinates,
        "method-reason=auto: MySQL has no BACKUP STAGE;"
        "lock-tries=1;lock-wait-ms=0;longest-stall-ms=0;server-uuid=u-u-i-d;connection-id=11;server-id=1;binlog-file=bin.000001;"
        "binlog-position=1234;gtid-executed=u-u-i-d:1-7;lsn=46758;");
    bench_expect_coordinates(BENCH_MYSQL);
    fake_query(1, SQL_UNLOCK, NULL);
    bench_expect_close();
    assert_int_equal(bench_thaw(bench), 0);
}

static void test_mariadb_is_held_by_ftwrl(void **state)
{
    struct bench *bench = bench_held(state, BENCH_MARIADB_FTWRL);

    assert_string_equal(bench->method, "ftwrl");
    assert_non_null(strstr(bench->coordinates, "method-reason=it is configured;"));
    bench_expect_coordinates(BENCH_MARIADB_FTWRL);
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

    bench_configure(bench, BENCH_MARIADB);
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

    bench_configure(bench, BENCH_MARIADB);
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

    bench_configure(bench, BENCH_MARIADB);
    bench_expect_identity(flavour);
    fake_query(2, SQL_GRANTS, grants);
    assert_int_equal(bench_prepare(bench), -EACCES);
    bench_assert_error(bench, statement);
    bench_expect_close_all();
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

static void test_missing_right_to_look_on_mysql(void **state)
{
    lacks_rights(state, BENCH_MYSQL,
                 "GRANT FLUSH_TABLES, REPLICATION CLIENT ON *.* TO `quiesced`@`localhost`",
                 "run into a long statement unseen; grant it: GRANT FLUSH_TABLES, PROCESS,");
}

static void test_no_session_is_left_for_a_second_try(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench, BENCH_MARIADB);
    fake_connect(1, BENCH_WHO);
    fake_connect(2, BENCH_WHO);
    fake_query(1, SQL_IDENTIFY, "10.11.19-MariaDB-log|Debian 12|quiesced@localhost");
    fake_query(1, SQL_VARIABLES, "innodb_flush_log_at_trx_commit|1\nlog_bin|OFF");
    fake_query(1, SQL_SESSION_MARIADB, NULL);
    fake_query(1, SQL_ID, "11");
    fake_query(2, SQL_SESSION_MARIADB, NULL);
    fake_connect_fails(3, BENCH_WHO, 1040, "Too many connections");
    fake_close(3);
    fake_query(2, SQL_GRANTS, BENCH_GRANT_MARIADB);
    fake_query(2, SQL_REPLICA_MARIADB, "");
    assert_int_equal(bench_prepare(bench), 0);
    assert_non_null(strstr(bench->log, "Too many connections"));
    bench_expect_close();
    bench_abort(bench);
}

static void test_backup_stage_is_not_there(void **state)
{
    struct bench *bench = *state;

    bench_set(bench, "method", "backup-stage");
    bench_configure(bench, BENCH_MYSQL);
    bench_expect_identity(BENCH_MYSQL);
    assert_int_equal(bench_prepare(bench), -EOPNOTSUPP);
    bench_assert_error(bench, "takes MariaDB 10.4.1 or later, and this is MySQL 9.7.4");
    bench_expect_close_all();
    bench_abort(bench);
}

static void test_missing_right_to_flush_the_redo_log(void **state)
{
    lacks_rights(state, BENCH_MYSQL_LAZY,
                 "GRANT FLUSH_TABLES, PROCESS ON *.* TO `quiesced`@`localhost`",
                 "GRANT RELOAD, PROCESS, REPLICATION CLIENT ON *.* TO 'quiesced'@'localhost'");
}

static void test_missing_lesser_rights_are_warnings(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench, BENCH_MARIADB);
    bench_expect_identity(BENCH_MYSQL);
    fake_query(2, SQL_GRANTS, "GRANT FLUSH_TABLES, PROCESS ON *.* TO `quiesced`@`localhost`");
    fake_query_fails(2, SQL_BINLOG_NEW, 1227, "Access denied");
    fake_query_fails(2, SQL_REPLICA, 1227, "Access denied");
    assert_int_equal(bench_prepare(bench), 0);
    assert_int_equal(bench->warnings, 1);
    assert_non_null(strstr(bench->log, "GRANT FLUSH_TABLES, PROCESS, REPLICATION CLIENT"));
    bench_expect_close_all();
    bench_abort(bench);
}

static void test_the_other_spelling_is_tried(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench, BENCH_MARIADB);
    bench_expect_identity(BENCH_MYSQL);
    fake_query(2, SQL_GRANTS, "GRANT ALL PRIVILEGES ON *.* TO `quiesced`@`localhost`");
    fake_query_fails(2, SQL_BINLOG_NEW, 1064, "You have an error in your SQL syntax");
    fake_query(2, SQL_BINLOG, "bin.000001|1234|||");
    fake_query(2, SQL_REPLICA, "");
    assert_int_equal(bench_prepare(bench), 0);
    assert_int_equal(bench->warnings, 0);
    bench_expect_close_all();
    bench_abort(bench);
}

static void test_prepare_is_late(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench, BENCH_MARIADB);
    fake_connect(1, BENCH_WHO);
    fake_connect(2, BENCH_WHO);
    fake_query_silent(1, SQL_IDENTIFY);
    fake_then(bench_late);
    assert_int_equal(bench_prepare(bench), -ETIMEDOUT);
    bench_assert_error(bench, "no answer in time");
    bench_expect_close();
    bench_abort(bench);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_mariadb_is_held_and_let_go),
        TEST(test_mysql_is_held_and_let_go),
        TEST(test_mariadb_is_held_by_ftwrl),
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
        TEST(test_missing_right_to_look_on_mysql),
        TEST(test_no_session_is_left_for_a_second_try),
        TEST(test_backup_stage_is_not_there),
        TEST(test_missing_right_to_flush_the_redo_log),
        TEST(test_missing_lesser_rights_are_warnings),
        TEST(test_the_other_spelling_is_tried),
        TEST(test_prepare_is_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
