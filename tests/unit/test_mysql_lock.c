/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_mysql_lock.c: the mysql plugin's freeze, on a scripted client library
 *
 * The tries of the lock, what is left of a failed one, the log that a commit may have
 * left unwritten, and what is read under the hold.
 */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "fake_mysql.h"
#include "mysql_bench.h"

#define LONG_UPDATE_MARIADB                                                                \
    "7|app|localhost|t|Query|9123.4|updating|UPDATE t SET a = 'hidden'|71|0\n"             \
    "8|app|localhost|t|Query|4000|Waiting for backup lock|INSERT INTO t VALUES (1)|81|0\n" \
    "11|quiesced|localhost|NULL|Sleep|0||NULL|91|0"
#define LONG_SELECT_MYSQL "7|app|localhost|t|Query|9|executing|SELECT * FROM t"

/* The first try of @flavour waits in vain: no answer ever comes. */
static void expect_silent_try(enum bench_flavour flavour)
{
    if (flavour == BENCH_MARIADB_FTWRL) {
        fake_query(2, SQL_PROCESSES_MARIADB, "");
        fake_query(1, SQL_LIMITS_MARIADB, NULL);
        fake_query_silent(1, SQL_LOCK_MARIADB);
    } else {
        fake_query(1, SQL_LIMITS_MARIADB, NULL);
        fake_query(1, SQL_START, NULL);
        fake_query(1, SQL_FLUSH, NULL);
        fake_query_silent(1, SQL_BLOCK_DDL);
    }
}

/* The spare, 13, becomes the lock's, and another spare is opened. */
static void expect_renewal(const char *session_sql)
{
    fake_connect(4, BENCH_WHO);
    fake_query(4, session_sql, NULL);
    fake_query(4, SQL_ID, "14");
}

static void end(struct bench *bench, unsigned int first, unsigned int second)
{
    fake_close(first);
    if (second != 0) {
        fake_close(second);
    }
    bench_abort(bench);
}

static void late_lock(void **state, enum bench_flavour flavour, const char *words)
{
    struct bench *bench = bench_prepared(state, flavour);

    expect_silent_try(flavour);
    fake_then(bench_late);
    fake_query(2, SQL_KILL, NULL);
    fake_close(1);
    fake_query(2, SQL_PROCESSES_MARIADB, LONG_UPDATE_MARIADB);
    assert_int_equal(bench_freeze(bench), -ETIMEDOUT);
    bench_assert_error(bench, words);
    bench_assert_error(bench, "statement 7 of user 'app', running for 9.1 s in state 'updating'");
    assert_null(strstr(bench->error, "hidden"));
    end(bench, 2, 3);
}

static void test_late_lock_is_killed_and_closed(void **state)
{
    late_lock(state, BENCH_MARIADB_FTWRL,
              "FLUSH TABLES WITH READ LOCK was not granted in 1 try, and stalled writers for up to "
              "4700 ms each time: no answer in time");
}

static void test_late_backup_stage_is_killed_and_closed(void **state)
{
    late_lock(state, BENCH_MARIADB, "BACKUP STAGE BLOCK_COMMIT was not granted in 1 try");
}

static void test_the_text_is_shown_as_far_as_is_said(void **state)
{
    struct bench *bench = *state;

    bench_set(bench, "query-text", "8");
    bench = bench_prepared(state, BENCH_MARIADB_FTWRL);
    fake_query(2, SQL_PROCESSES_MARIADB, "");
    fake_query(1, SQL_LIMITS_MARIADB, NULL);
    fake_query_silent(1, SQL_LOCK_MARIADB);
    fake_then(bench_late);
    fake_query(2, SQL_KILL, NULL);
    fake_close(1);
    fake_query(2, SQL_PROCESSES_MARIADB, LONG_UPDATE_MARIADB);
    assert_int_equal(bench_freeze(bench), -ETIMEDOUT);
    bench_assert_error(bench, "in state 'updating': UPDATE t...");
    end(bench, 2, 3);
}

static void test_cancelled_lock_is_killed_and_closed(void **state)
{
    struct bench *bench = bench_prepared(state, BENCH_MARIADB);

    expect_silent_try(BENCH_MARIADB);
    fake_then(bench_cancel);
    fake_query(2, SQL_KILL, NULL);
    fake_close(1);
    assert_int_equal(bench_freeze(bench), -ECANCELED);
    assert_string_equal(bench->error, "");
    end(bench, 2, 3);
}

/* The second try, on the session that was the spare one */
static void expect_second_try(enum bench_flavour flavour)
{
    if (flavour != BENCH_MARIADB) {
        fake_query(2, flavour == BENCH_MYSQL ? SQL_PROCESSES : SQL_PROCESSES_MARIADB, "");
    }
    if (flavour == BENCH_MARIADB) {
        fake_query(3, SQL_LIMITS_MARIADB, NULL);
        fake_query(3, SQL_START, NULL);
        fake_query(3, SQL_FLUSH, NULL);
        fake_query(3, SQL_BLOCK_DDL, NULL);
        fake_query(3, SQL_BLOCK_COMMIT, NULL);
    } else {
        fake_query(3, flavour == BENCH_MYSQL ? SQL_LIMITS_MYSQL : SQL_LIMITS_MARIADB, NULL);
        fake_query(3, flavour == BENCH_MYSQL ? SQL_LOCK : SQL_LOCK_MARIADB, NULL);
    }
    fake_close(4);
    fake_query(3, SQL_LAZY, "1");
    if (flavour == BENCH_MYSQL) {
        fake_query(3, SQL_WHERE_MYSQL, "13|1|u-u-i-d:1-7");
        fake_query(3, SQL_BINLOG_NEW, "bin.000001|1234|||u-u-i-d:1-7");
        fake_query(3, SQL_STATUS, "Uptime|1000");
        fake_query(3, SQL_REPLICA, "");
        fake_query(3, SQL_LOG_STATUS, "bin.000001|1234|46758|46700");
    } else {
        fake_query(3, SQL_WHERE_MARIADB, "13|1|0-1-7|0-1-7|");
        fake_query(3, SQL_BINLOG, "bin.000001|1234||");
        fake_query(3, SQL_STATUS, "Uptime|1000");
        fake_query(3, SQL_REPLICA_MARIADB, "");
    }
}

static void second_try(void **state, enum bench_flavour flavour, const char *sql, unsigned int code)
{
    struct bench *bench = bench_prepared(state, flavour);

    if (flavour == BENCH_MARIADB) {
        fake_query(1, SQL_LIMITS_MARIADB, NULL);
        fake_query(1, SQL_START, NULL);
        fake_query(1, SQL_FLUSH, NULL);
    } else {
        fake_query(2, flavour == BENCH_MYSQL ? SQL_PROCESSES : SQL_PROCESSES_MARIADB, "");
        fake_query(1, flavour == BENCH_MYSQL ? SQL_LIMITS_MYSQL : SQL_LIMITS_MARIADB, NULL);
    }
    fake_query_fails(1, sql, code, "too late");
    fake_query(2, SQL_KILL, NULL);
    fake_close(1);
    expect_renewal(flavour == BENCH_MYSQL ? SQL_SESSION : SQL_SESSION_MARIADB);
    expect_second_try(flavour);
    assert_int_equal(bench_freeze(bench), 0);
    assert_non_null(strstr(bench->coordinates, "lock-tries=2;"));
    assert_non_null(strstr(bench->coordinates, "connection-id=13;"));
    end(bench, 3, 2);
}

static void test_second_try_of_backup_stage(void **state)
{
    second_try(state, BENCH_MARIADB, SQL_BLOCK_DDL, 1969);
}

static void test_second_try_on_mariadb(void **state)
{
    second_try(state, BENCH_MARIADB_FTWRL, SQL_LOCK_MARIADB, 1969);
}

static void test_second_try_on_mysql(void **state)
{
    struct bench *bench = *state;

    second_try(state, BENCH_MYSQL, SQL_LOCK, 1205);
    assert_non_null(strstr(bench->coordinates, "lsn=46758;lsn-checkpoint=46700;"));
}

static void test_no_second_try_without_a_session(void **state)
{
    struct bench *bench = bench_prepared(state, BENCH_MARIADB_FTWRL);

    fake_query(2, SQL_PROCESSES_MARIADB, "");
    fake_query(1, SQL_LIMITS_MARIADB, NULL);
    fake_query_fails(1, SQL_LOCK_MARIADB, 1969, "max_statement_time exceeded");
    fake_query(2, SQL_KILL, NULL);
    fake_close(1);
    fake_connect_fails(4, BENCH_WHO, 1040, "Too many connections");
    fake_close(4);
    fake_query(2, SQL_PROCESSES_MARIADB, "");
    fake_query(3, SQL_LIMITS_MARIADB, NULL);
    fake_query_fails(3, SQL_LOCK_MARIADB, 1969, "max_statement_time exceeded");
    fake_query(2, SQL_KILL_SPARE, NULL);
    fake_close(3);
    fake_connect_fails(5, BENCH_WHO, 1040, "Too many connections");
    fake_close(5);
    fake_query(2, SQL_PROCESSES_MARIADB, "");
    assert_int_equal(bench_freeze(bench), -ETIMEDOUT);
    bench_assert_error(bench, "was not granted in 2 tries");
    end(bench, 2, 0);
}

static void test_another_backup_is_in_the_way(void **state)
{
    struct bench *bench = bench_prepared(state, BENCH_MARIADB);

    fake_query(1, SQL_LIMITS_MARIADB, NULL);
    fake_query_fails(1, SQL_START, 1969, "max_statement_time exceeded");
    bench_expect_lock(BENCH_MARIADB_FTWRL);
    bench_expect_hold(BENCH_MARIADB_FTWRL);
    assert_int_equal(bench_freeze(bench), 0);
    assert_string_equal(bench->method, "ftwrl");
    assert_int_equal(bench->warnings, 1);
    assert_non_null(strstr(bench->coordinates, "method-reason=BACKUP STAGE START was not granted"));
    bench_expect_coordinates(BENCH_MARIADB_FTWRL);
    fake_query(1, SQL_UNLOCK, NULL);
    bench_expect_close();
    assert_int_equal(bench_thaw(bench), 0);
}

static void lock_refused(void **state, unsigned int code, const char *text, int result)
{
    struct bench *bench = bench_prepared(state, BENCH_MARIADB_FTWRL);

    fake_query(2, SQL_PROCESSES_MARIADB, "");
    fake_query(1, SQL_LIMITS_MARIADB, NULL);
    fake_query_fails(1, SQL_LOCK_MARIADB, code, text);
    if (code >= 2000) {
        fake_close(1);
    }
    fake_query(2, SQL_KILL, NULL);
    if (code < 2000) {
        fake_close(1);
    }
    assert_int_equal(bench_freeze(bench), result);
    bench_assert_error(bench, text);
    end(bench, 2, 3);
}

static void test_lock_refused_for_lack_of_rights(void **state)
{
    lock_refused(state, 1227, "you need the RELOAD privilege", -EACCES);
}

static void test_session_lost_while_it_waits(void **state)
{
    lock_refused(state, 2013, "Lost connection", -ENOTCONN);
}

static void test_what_remains_on_mysql_is_told(void **state)
{
    struct bench *bench = bench_prepared(state, BENCH_MYSQL);

    fake_query(2, SQL_PROCESSES, "");
    fake_query(1, SQL_LIMITS_MYSQL, NULL);
    fake_query_silent(1, SQL_LOCK);
    fake_then(bench_late);
    fake_query(2, SQL_KILL, NULL);
    fake_close(1);
    fake_query(2, SQL_PROCESSES, LONG_SELECT_MYSQL);
    assert_int_equal(bench_freeze(bench), -ETIMEDOUT);
    bench_assert_error(bench, "running for 9 s in state 'executing', whose tables stay blocked");
    end(bench, 2, 3);
}

/* the redo log */

static void test_redo_log_is_flushed_on_mysql(void **state)
{
    struct bench *bench = bench_held(state, BENCH_MYSQL_LAZY);

    end(bench, 1, 2);
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
    fake_query(1, SQL_REPLICA_MARIADB, "");
    assert_int_equal(bench_freeze(bench), 0);
    end(bench, 1, 2);
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
    end(bench, 2, 0);
}

static void test_no_innodb(void **state)
{
    struct bench *bench = bench_prepared(state, BENCH_MARIADB);

    bench_expect_lock(BENCH_MARIADB);
    fake_query_fails(1, SQL_LAZY, 1193, "Unknown system variable");
    bench_expect_coordinates(BENCH_MARIADB);
    fake_query(1, SQL_REPLICA_MARIADB, "");
    assert_int_equal(bench_freeze(bench), 0);
    end(bench, 1, 2);
}

/* the coordinates */

static void test_session_lost_under_the_lock(void **state)
{
    struct bench *bench = bench_prepared(state, BENCH_MARIADB);

    bench_expect_lock(BENCH_MARIADB);
    fake_query(1, SQL_LAZY, "1");
    fake_query_fails(1, SQL_WHERE_MARIADB, 2013, "Lost connection");
    fake_close(1);
    assert_int_equal(bench_freeze(bench), -ENOTCONN);
    bench_assert_error(bench, "Lost connection");
    end(bench, 2, 0);
}

static void test_missing_rights_are_found_under_the_lock(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench, BENCH_MARIADB);
    bench_expect_identity(BENCH_MARIADB);
    fake_query(2, SQL_GRANTS, "GRANT RELOAD, PROCESS ON *.* TO `quiesced`@`localhost`");
    fake_query_fails(2, SQL_BINLOG, 1227, "Access denied");
    fake_query_fails(2, SQL_REPLICA_MARIADB, 1227, "Access denied");
    bench_expect_lock(BENCH_MARIADB);
    fake_query(1, SQL_LAZY, "1");
    fake_query(1, SQL_WHERE_MARIADB, "11|1|0-1-7|0-1-7|");
    fake_query_fails(1, SQL_BINLOG, 1227, "Access denied");
    fake_query(1, SQL_STATUS, "Uptime|1000");
    fake_query_fails(1, SQL_REPLICA_MARIADB, 1227, "Access denied");
    assert_int_equal(bench_prepare(bench), 0);
    assert_int_equal(bench->warnings, 1);
    assert_int_equal(bench_freeze(bench), 0);
    assert_null(strstr(bench->coordinates, "binlog-file"));
    end(bench, 1, 2);
}

static void replica(void **state, enum bench_flavour flavour, const char *sql, const char *rows)
{
    struct bench *bench = bench_prepared(state, flavour);

    bench_expect_lock(flavour);
    fake_query(1, SQL_LAZY, "1");
    bench_expect_coordinates(flavour);
    fake_query(1, sql, rows);
    if (flavour == BENCH_MYSQL) {
        fake_query_fails(1, SQL_LOG_STATUS, 1227, "Access denied");
    }
    assert_int_equal(bench_freeze(bench), 0);
    assert_non_null(
        strstr(bench->coordinates, "replica-source-file=bin.000007;replica-source-position=88;"));
    end(bench, 1, 2);
}

static void test_executed_position_of_a_replica(void **state)
{
    replica(state, BENCH_MYSQL, SQL_REPLICA,
            "#Source_Log_File|Read_Source_Log_Pos|Relay_Source_Log_File|Exec_Source_Log_Pos|"
            "Channel_Name\n"
            "bin.000009|99|bin.000007|88|");
}

static void test_executed_positions_of_two_channels(void **state)
{
    struct bench *bench = *state;

    replica(state, BENCH_MARIADB, SQL_REPLICA_MARIADB,
            "#Connection_name|Master_Log_File|Relay_Master_Log_File|Exec_Master_Log_Pos\n"
            "|bin.000009|bin.000007|88\n"
            "east|bin.000001|bin.000002|4");
    assert_non_null(strstr(bench->coordinates,
                           "replica-2-channel=east;replica-2-source-file=bin.000002;"
                           "replica-2-source-position=4;"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_late_lock_is_killed_and_closed),
        TEST(test_late_backup_stage_is_killed_and_closed),
        TEST(test_the_text_is_shown_as_far_as_is_said),
        TEST(test_cancelled_lock_is_killed_and_closed),
        TEST(test_second_try_of_backup_stage),
        TEST(test_second_try_on_mariadb),
        TEST(test_second_try_on_mysql),
        TEST(test_no_second_try_without_a_session),
        TEST(test_another_backup_is_in_the_way),
        TEST(test_lock_refused_for_lack_of_rights),
        TEST(test_session_lost_while_it_waits),
        TEST(test_what_remains_on_mysql_is_told),
        TEST(test_redo_log_is_flushed_on_mysql),
        TEST(test_redo_log_is_awaited_on_mariadb),
        TEST(test_redo_log_is_late),
        TEST(test_no_innodb),
        TEST(test_session_lost_under_the_lock),
        TEST(test_missing_rights_are_found_under_the_lock),
        TEST(test_executed_position_of_a_replica),
        TEST(test_executed_positions_of_two_channels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
