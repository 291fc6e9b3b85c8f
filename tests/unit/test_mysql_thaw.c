/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_mysql_thaw.c: the mysql plugin's proof that its hold has lasted, and its release */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "fake_mysql.h"
#include "mysql_bench.h"

static void test_session_lost_at_check(void **state)
{
    struct bench *bench = bench_held(state, BENCH_MARIADB);

    fake_query_fails(1, SQL_WHERE_MARIADB, 2006, "Server has gone away");
    fake_close(1);
    assert_int_equal(bench_check(bench), -ENOTCONN);
    bench_assert_error(bench, "the hold was lost: Server has gone away (2006)");
    /* and the thaw knows it still */
    fake_close(2);
    assert_int_equal(bench_thaw(bench), -ENOTCONN);
    bench_assert_error(bench, "the hold was lost: Server has gone away (2006)");
}

static void test_session_lost_at_thaw(void **state)
{
    struct bench *bench = bench_held(state, BENCH_MARIADB);

    fake_query_fails(1, SQL_WHERE_MARIADB, 2013, "Lost connection");
    bench_expect_close();
    assert_int_equal(bench_thaw(bench), -ENOTCONN);
    bench_assert_error(bench, "the hold was lost: Lost connection (2013)");
}

static void test_idle_session_was_ended(void **state)
{
    struct bench *bench = bench_held(state, BENCH_MYSQL);

    fake_query_fails(1, SQL_WHERE_MYSQL, 4031, "The client was disconnected by the server");
    bench_expect_close();
    assert_int_equal(bench_thaw(bench), -ENOTCONN);
    bench_assert_error(bench, "the hold was lost");
}

static void thaw_after(void **state, const char *where, const char *binlog, const char *status,
                       const char *error)
{
    struct bench *bench = bench_held(state, BENCH_MARIADB);

    fake_query(1, SQL_WHERE_MARIADB, where);
    fake_query(1, SQL_BINLOG, binlog);
    fake_query(1, SQL_STATUS, status);
    fake_query(1, SQL_END, NULL);
    bench_expect_close();
    assert_int_equal(bench_thaw(bench), error != NULL ? -ESTALE : 0);
    if (error != NULL) {
        bench_assert_error(bench, error);
    }
}

static void test_gtid_has_changed(void **state)
{
    thaw_after(state, "11|1|0-1-8|0-1-8|", "bin.000001|1300||", "Uptime|1001",
               "binlog-position was '1234' and is '1300'");
}

static void test_gtid_of_a_replica_has_changed(void **state)
{
    thaw_after(state, "11|1|0-1-7|0-1-7|0-2-9", "bin.000001|1234||", "Uptime|1001",
               "gtid-slave-pos was '' and is '0-2-9'");
}

static void test_another_session_answers(void **state)
{
    thaw_after(state, "12|1|0-1-7|0-1-7|", "bin.000001|1234||", "Uptime|1001",
               "connection-id was '11' and is '12'");
}

static void test_server_was_restarted(void **state)
{
    thaw_after(state, "11|1|0-1-7|0-1-7|", "bin.000001|1234||", "Uptime|1", "restarted");
}

static void test_clock_was_set_back(void **state)
{
    thaw_after(state, "11|1|0-1-7|0-1-7|", "bin.000001|1234||", "Uptime|940", NULL);
}

static void test_log_was_rotated(void **state)
{
    thaw_after(state, "11|1|0-1-7|0-1-7|", "bin.000002|345||", "Uptime|1001", NULL);
}

static void test_log_sequence_number_proves_nothing(void **state)
{
    thaw_after(state, "11|1|0-1-7|0-1-7|", "bin.000001|1234||",
               "Innodb_lsn_current|99999\nUptime|1000", NULL);
}

static void test_thaw_is_late(void **state)
{
    struct bench *bench = bench_held(state, BENCH_MARIADB);

    fake_query_silent(1, SQL_WHERE_MARIADB);
    fake_then(bench_late);
    fake_query(2, SQL_KILL, NULL);
    bench_expect_close();
    assert_int_equal(bench_thaw(bench), -ETIMEDOUT);
    bench_assert_error(bench, "the hold cannot be shown to have lasted: no answer in time");
}

static void test_unlock_is_late(void **state)
{
    struct bench *bench = bench_held(state, BENCH_MARIADB);

    bench_expect_coordinates(BENCH_MARIADB);
    fake_query_silent(1, SQL_END);
    fake_then(bench_late);
    fake_query(2, SQL_KILL, NULL);
    bench_expect_close();
    assert_int_equal(bench_thaw(bench), 0);
}

static void test_cancelled_check_leaves_the_rest_to_abort(void **state)
{
    struct bench *bench = bench_held(state, BENCH_MARIADB);

    fake_query_silent(1, SQL_WHERE_MARIADB);
    fake_then(bench_cancel);
    assert_int_equal(bench_check(bench), -ECANCELED);
    assert_string_equal(bench->error, "");
    fake_query(2, SQL_KILL, NULL);
    bench_expect_close();
    bench_abort(bench);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_session_lost_at_check),
        TEST(test_session_lost_at_thaw),
        TEST(test_idle_session_was_ended),
        TEST(test_gtid_has_changed),
        TEST(test_gtid_of_a_replica_has_changed),
        TEST(test_another_session_answers),
        TEST(test_server_was_restarted),
        TEST(test_clock_was_set_back),
        TEST(test_log_was_rotated),
        TEST(test_log_sequence_number_proves_nothing),
        TEST(test_thaw_is_late),
        TEST(test_unlock_is_late),
        TEST(test_cancelled_check_leaves_the_rest_to_abort),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
