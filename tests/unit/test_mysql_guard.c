/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_mysql_guard.c: which statements are in the lock's way, and what is done about them */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "blockers.h"
#include "fake_mysql.h"
#include "mysql_bench.h"
#include "util.h"

#define LONG_SELECT "7|app|localhost|t|Query|3|executing|SELECT * FROM t"
#define LONG_UPDATE                                         \
    "7|app|localhost|t|Query|1300|updating|UPDATE t|71|0\n" \
    "9|app|localhost|t|Query|2300|updating|DELETE t|91|0"

/* The id of the oldest blocker in @rows, "" for none */
static void assert_blocker(struct bench *bench, enum server_flavour flavour, const char *rows,
                           const char *id)
{
    const struct client_target target = { .socket = "/s", .user = "u" };
    const struct policy policy = { .long_query_ms = 1000 };
    struct server server = { .flavour = flavour };
    struct blockers blockers = { .n = 0 };
    struct client *client = NULL;
    uint64_t deadline = bench->base + USEC_PER_SEC;
    unsigned int sessions = ++bench->sessions;

    fake_connect(sessions, "u@/s");
    fake_query(sessions, flavour == SERVER_MARIADB ? SQL_PROCESSES_MARIADB : SQL_PROCESSES, rows);
    fake_close(sessions);
    assert_int_equal(client_create(&bench->host, &client), 0);
    assert_int_equal(client_connect(client, &target, deadline), 0);
    assert_int_equal(
        blockers_find(client, &server, &policy, CLIENT_CANCELLABLE, deadline, &blockers) > 0,
        id[0] != '\0');
    assert_string_equal(blockers.n > 0 ? blockers.list[0].id : "", id);
    (void)client_free(client);
}

static void test_blockers_on_mysql(void **state)
{
    struct bench *bench = *state;

    assert_blocker(bench, SERVER_MYSQL, "", "");
    assert_blocker(bench, SERVER_MYSQL, "1|a|h|d|Query|1|executing|SELECT 1", "");
    assert_blocker(bench, SERVER_MYSQL, "1|a|h|d|Query|2|executing|SELECT 1", "1");
    assert_blocker(bench, SERVER_MYSQL,
                   "1|a|h|d|Sleep|9||NULL\n"
                   "2|r|h|d|Binlog Dump GTID|99|Source has sent all|SHOW\n"
                   "3|system user|h|d|Query|99|Waiting for an event|INSERT\n"
                   "4|event_scheduler|h|d|Daemon|99|Waiting on empty queue|NULL\n"
                   "5|a|h|d|Query|7|Waiting for global read lock|INSERT\n"
                   "6|a|h|d|Query|7|Waiting for table flush|SELECT\n"
                   "7|a|h|d|Query|-3||SELECT",
                   "");
    assert_blocker(bench, SERVER_MYSQL,
                   "1|a|h|d|Execute|5|executing|SELECT\n"
                   "2|a|h|d|Query|8|Waiting for table metadata lock|ALTER\n"
                   "3|a|h|d|Query|3|updating|UPDATE",
                   "2");
}

static void test_blockers_that_use_no_table(void **state)
{
    struct bench *bench = *state;

    assert_blocker(bench, SERVER_MYSQL,
                   "1|a|h|d|Query|9|User sleep|SELECT SLEEP(100)\n"
                   "2|a|h|d|Query|9|User lock|/* queue */ select get_lock('jobs', 60)\n"
                   "3|a|h|d|Query|9|User lock|DO GET_LOCK('jobs', 60)",
                   "");
    assert_blocker(bench, SERVER_MYSQL, "1|a|h|d|Query|9|User sleep|SELECT SLEEP(9) FROM t", "1");
    assert_blocker(bench, SERVER_MYSQL, "1|a|h|d|Query|9|User sleep|SELECT a, SLEEP(9)", "1");
    assert_blocker(bench, SERVER_MYSQL, "1|a|h|d|Query|9|executing|SELECT SLEEP(9)", "1");
    assert_blocker(bench, SERVER_MYSQL, "1|a|h|d|Query|9|User sleep|UPDATE t SET a = SLEEP(9)",
                   "1");
}

static void test_blockers_on_mariadb(void **state)
{
    struct bench *bench = *state;

    assert_blocker(bench, SERVER_MARIADB, "1|a|h|d|Query|9000|Sending data|select 1|5|0", "");
    assert_blocker(bench, SERVER_MARIADB, "1|a|h|d|Query|9000|x|/* a */ (SELECT 1)|5|0", "");
    assert_blocker(bench, SERVER_MARIADB, "1|a|h|d|Query|9000|x|SELECT a FOR UPDATE|5|1", "1");
    assert_blocker(bench, SERVER_MARIADB, "1|a|h|d|Query|9000|NULL|UPDATE t|5|0", "1");
    assert_blocker(bench, SERVER_MARIADB, "1|a|h|d|Query|1000.0|NULL|UPDATE t|5|0", "");
    assert_blocker(bench, SERVER_MARIADB, "1|a|h|d|Query|1001.7|NULL|UPDATE t|5|0", "1");
}

static void test_long_statement_is_refused(void **state)
{
    struct bench *bench = *state;

    bench_set(bench, "blockers", "fail");
    bench = bench_prepared(state, BENCH_MYSQL);
    fake_query(2, SQL_PROCESSES, LONG_SELECT);
    fake_close(1);
    assert_int_equal(bench_freeze(bench), -EBUSY);
    bench_assert_error(bench, "was not tried: it would wait for statement 7 of user 'app', running "
                              "for 3 s in state 'executing', and giving up then would leave");
    fake_close(2);
    fake_close(3);
    bench_abort(bench);
}

static void test_long_statement_is_waited_for(void **state)
{
    struct bench *bench = bench_prepared(state, BENCH_MYSQL);

    fake_query(2, SQL_PROCESSES, LONG_SELECT);
    fake_query(2, SQL_PROCESSES, LONG_SELECT);
    bench_expect_lock(BENCH_MYSQL);
    bench_expect_hold(BENCH_MYSQL);
    assert_int_equal(bench_freeze(bench), 0);
    bench_expect_close();
    bench_abort(bench);
}

static void test_long_statement_does_not_end(void **state)
{
    struct bench *bench = bench_prepared(state, BENCH_MARIADB_FTWRL);

    fake_query(2, SQL_PROCESSES_MARIADB, LONG_UPDATE);
    fake_query(2, SQL_PROCESSES_MARIADB, LONG_UPDATE);
    fake_then(bench_late);
    fake_close(1);
    assert_int_equal(bench_freeze(bench), -EBUSY);
    bench_assert_error(bench, "was not tried: it would wait for statement 9 of user 'app', "
                              "running for 2.3 s in state 'updating' (and 1 more)");
    fake_close(2);
    fake_close(3);
    bench_abort(bench);
}

static void test_long_statement_after_a_try(void **state)
{
    struct bench *bench = bench_prepared(state, BENCH_MYSQL);

    fake_query(2, SQL_PROCESSES, "");
    fake_query(1, SQL_LIMITS_MYSQL, NULL);
    fake_query_fails(1, SQL_LOCK, 1205, "Lock wait timeout exceeded");
    fake_query(2, SQL_KILL, NULL);
    fake_close(1);
    fake_connect(4, BENCH_WHO);
    fake_query(4, SQL_SESSION, NULL);
    fake_query(4, SQL_ID, "14");
    fake_query(2, SQL_PROCESSES, LONG_SELECT);
    fake_then(bench_late);
    fake_close(3);
    assert_int_equal(bench_freeze(bench), -EBUSY);
    bench_assert_error(bench, "was not granted in 1 try, which stalled writers for up to 0 ms, and "
                              "not tried again: it would wait for statement 7 of");
    bench_assert_error(bench, "whose tables stay blocked until it ends");
    fake_close(2);
    fake_close(4);
    bench_abort(bench);
}

static void test_backup_stage_is_not_tried_again_on_fail(void **state)
{
    struct bench *bench = *state;

    bench_set(bench, "blockers", "fail");
    bench = bench_prepared(state, BENCH_MARIADB);
    fake_query(1, SQL_LIMITS_MARIADB, NULL);
    fake_query(1, SQL_START, NULL);
    fake_query(1, SQL_FLUSH, NULL);
    fake_query_fails(1, SQL_BLOCK_DDL, 1969, "max_statement_time exceeded");
    fake_query(2, SQL_KILL, NULL);
    fake_close(1);
    fake_connect(4, BENCH_WHO);
    fake_query(4, SQL_SESSION_MARIADB, NULL);
    fake_query(4, SQL_ID, "14");
    fake_query(2, SQL_PROCESSES_MARIADB, LONG_UPDATE);
    fake_close(3);
    assert_int_equal(bench_freeze(bench), -EBUSY);
    bench_assert_error(bench, "BACKUP STAGE BLOCK_COMMIT was not granted in 1 try");
    fake_close(2);
    fake_close(4);
    bench_abort(bench);
}

static void test_wait_is_cancelled(void **state)
{
    struct bench *bench = bench_prepared(state, BENCH_MYSQL);

    fake_query(2, SQL_PROCESSES, LONG_SELECT);
    fake_then(bench_cancel);
    fake_close(1);
    assert_int_equal(bench_freeze(bench), -ECANCELED);
    assert_string_equal(bench->error, "");
    fake_close(2);
    fake_close(3);
    bench_abort(bench);
}

static struct bench *prepared_to_kill(void **state, enum bench_flavour flavour)
{
    struct bench *bench = *state;

    bench_set(bench, "blockers", "kill");
    bench_configure(bench, flavour);
    bench_expect_identity(flavour);
    fake_query(2, SQL_GRANTS, "GRANT ALL PRIVILEGES ON *.* TO `quiesced`@`localhost`");
    if (flavour == BENCH_MYSQL) {
        fake_query(2, SQL_BINLOG_NEW, "bin.000001|1234|||");
        fake_query(2, SQL_REPLICA, "");
    } else {
        fake_query(2, SQL_BINLOG, "bin.000001|1234||");
        fake_query(2, SQL_REPLICA_MARIADB, "");
    }
    assert_int_equal(bench_prepare(bench), 0);
    return bench;
}

static void test_long_statements_are_killed_on_mariadb(void **state)
{
    struct bench *bench = prepared_to_kill(state, BENCH_MARIADB_FTWRL);

    fake_query(2, SQL_PROCESSES_MARIADB, LONG_UPDATE);
    fake_query(2, "KILL QUERY ID 91", NULL);
    fake_query_fails(2, "KILL QUERY ID 71", 1957, "Unknown query id: 71");
    fake_query(2, SQL_PROCESSES_MARIADB, LONG_UPDATE); /* it rolls back; once is enough */
    bench_expect_lock(BENCH_MARIADB_FTWRL);
    bench_expect_hold(BENCH_MARIADB_FTWRL);
    assert_int_equal(bench_freeze(bench), 0);
    assert_int_equal(bench->warnings, 1);
    assert_string_equal(bench->log, "killed statement 9 of user 'app', running for 2.3 s in state "
                                    "'updating'");
    bench_expect_close();
    bench_abort(bench);
}

static void test_long_statement_is_killed_on_mysql(void **state)
{
    struct bench *bench = prepared_to_kill(state, BENCH_MYSQL);

    fake_query(2, SQL_PROCESSES, LONG_SELECT);
    fake_query(2, "KILL QUERY 7", NULL);
    bench_expect_lock(BENCH_MYSQL);
    bench_expect_hold(BENCH_MYSQL);
    assert_int_equal(bench_freeze(bench), 0);
    bench_expect_close();
    bench_abort(bench);
}

static void test_kill_is_denied(void **state)
{
    struct bench *bench = prepared_to_kill(state, BENCH_MYSQL);

    fake_query(2, SQL_PROCESSES, LONG_SELECT);
    fake_query_fails(2, "KILL QUERY 7", 1095, "You are not owner of thread 7");
    fake_close(1);
    assert_int_equal(bench_freeze(bench), -EACCES);
    bench_assert_error(bench, "CONNECTION_ADMIN ON *.* TO");
    fake_close(2);
    fake_close(3);
    bench_abort(bench);
}

static void test_missing_right_to_kill(void **state)
{
    struct bench *bench = *state;

    bench_set(bench, "blockers", "kill");
    bench_configure(bench, BENCH_MARIADB);
    bench_expect_identity(BENCH_MARIADB);
    fake_query(2, SQL_GRANTS, BENCH_GRANT_MARIADB);
    assert_int_equal(bench_prepare(bench), -EACCES);
    bench_assert_error(bench, "lacks the privilege CONNECTION ADMIN, which blockers = kill takes; "
                              "grant it: GRANT RELOAD, PROCESS, BINLOG MONITOR, SLAVE MONITOR, "
                              "CONNECTION ADMIN ON *.* TO 'quiesced'@'localhost'");
    bench_expect_close_all();
    bench_abort(bench);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_blockers_on_mysql),
        TEST(test_blockers_that_use_no_table),
        TEST(test_blockers_on_mariadb),
        TEST(test_long_statement_is_refused),
        TEST(test_long_statement_is_waited_for),
        TEST(test_long_statement_does_not_end),
        TEST(test_long_statement_after_a_try),
        TEST(test_backup_stage_is_not_tried_again_on_fail),
        TEST(test_wait_is_cancelled),
        TEST(test_long_statements_are_killed_on_mariadb),
        TEST(test_long_statement_is_killed_on_mysql),
        TEST(test_kill_is_denied),
        TEST(test_missing_right_to_kill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
