/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_postgresql.c: the postgresql plugin from prepare to thaw, on a scripted libpq */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "fake_libpq.h"
#include "postgresql_bench.h"

#define NO_SOCKET                                                                               \
    "connection to server on socket \"/run/postgresql/.s.PGSQL.5432\" failed: No such file or " \
    "directory\n\tIs the server running locally and accepting connections on that socket?\n"
#define REFUSED                                                                              \
    "connection to server at \"127.0.0.1\", port 5432 failed: Connection refused\n\tIs the " \
    "server running on that host and accepting TCP/IP connections?\n"

static void end(struct bench *bench)
{
    fake_close();
    bench_abort(bench);
}

static void test_held_and_let_go(void **state)
{
    struct bench *bench = bench_held(state);

    assert_string_equal(bench->server, "PostgreSQL 15.18");
    assert_string_equal(bench->method, "witness");
    assert_string_equal(bench->coordinates,
                        "system-identifier=7300000000000000001;"
                        "postmaster-start=2026-11-20T13:00:00.000001Z;backend-pid=4711;"
                        "in-recovery=no;timeline=1;insert-lsn=0/5000108;write-lsn=0/5000100;"
                        "flush-lsn=0/50000F0;wal-file=000000010000000000000005;"
                        "redo-lsn=0/4000028;");
    assert_int_equal(bench->warnings, 0);
    bench_expect_where(SQL_LIMITS_CHECK);
    assert_int_equal(bench_check(bench), 0);
    bench_expect_where(SQL_LIMITS_CHECK);
    fake_close();
    assert_int_equal(bench_thaw(bench), 0);
    assert_int_equal(quiesced_plugin.watch_fd(bench->self), -1);
}

static void test_the_session_is_watched(void **state)
{
    struct bench *bench = bench_held(state);
    struct pollfd fd = { .fd = quiesced_plugin.watch_fd(bench->self), .events = POLLIN };

    assert_true(fd.fd >= 0);
    assert_int_equal(poll(&fd, 1, 0), 0);
    end(bench);
}

static void test_what_is_never_looked_for(void **state)
{
    struct bench *bench = bench_prepared(state);

    assert_string_equal(fake_param("passfile"), "/dev/null/none");
    assert_string_equal(fake_param("sslkey"), "/dev/null/none");
    assert_string_equal(fake_param("gssencmode"), "disable");
    assert_string_equal(fake_param("fallback_application_name"), "quiesced");
    end(bench);
}

/* prepare */

static void refuses_to_connect(void **state, const char *text, int result, const char *words)
{
    struct bench *bench = *state;

    bench_configure(bench);
    fake_connect_fails(BENCH_WHO, text);
    fake_close();
    assert_int_equal(bench_prepare(bench), result);
    bench_assert_error(bench, "'/run/postgresql' port 5432 as 'quiesced'");
    bench_assert_error(bench, words);
    bench_abort(bench);
}

static void test_no_socket_is_not_running(void **state)
{
    refuses_to_connect(state, NO_SOCKET, QUIESCED_NOT_RUNNING, "directory Is the server running");
}

static void test_refused_is_not_running(void **state)
{
    refuses_to_connect(state, REFUSED, QUIESCED_NOT_RUNNING, "Connection refused");
}

/* Nobody at ::1, and a server at 127.0.0.1 */
static void test_refused_at_one_address_is_a_failure(void **state)
{
    refuses_to_connect(state, REFUSED "FATAL:  password authentication failed for user \"q\"\n",
                       -EREMOTEIO, "password authentication failed");
}

static void test_refused_and_then_starting_up_is_a_failure(void **state)
{
    refuses_to_connect(state, "FATAL:  the database system is starting up\n" REFUSED, -EREMOTEIO,
                       "starting up");
}

static void test_forbidden_socket_is_a_failure(void **state)
{
    refuses_to_connect(state,
                       "connection to server on socket \"/run/postgresql/.s.PGSQL.5432\" failed: "
                       "Permission denied\n\tIs the server running locally and ...?\n",
                       -EREMOTEIO, "Permission denied");
}

static void test_starting_up_is_a_failure(void **state)
{
    refuses_to_connect(state, "FATAL:  the database system is starting up\n", -EREMOTEIO,
                       "FATAL: the database system is starting up");
}

static void test_wrong_password_names_the_page(void **state)
{
    refuses_to_connect(state, "FATAL:  password authentication failed for user \"quiesced\"\n",
                       -EREMOTEIO, "quiesced-postgresql(5)");
}

static void test_nobody_answers(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    fake_connect_silent(BENCH_WHO);
    fake_then(bench_late);
    fake_close();
    assert_int_equal(bench_prepare(bench), -ETIMEDOUT);
    bench_assert_error(bench, "no answer in time");
}

static void test_cancelled_while_it_connects(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    fake_connect_silent(BENCH_WHO);
    fake_then(bench_cancel);
    fake_close();
    assert_int_equal(bench_prepare(bench), -ECANCELED);
    assert_string_equal(bench->error, "");
}

static void test_a_pooler_is_refused(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    fake_server(150018, 12);
    bench_expect_identity();
    assert_int_equal(bench_prepare(bench), -ENOTSUP);
    bench_assert_error(bench, "a pooler");
    end(bench);
}

static void test_too_old_a_server(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    fake_server(90624, 4711);
    fake_connect(BENCH_WHO);
    fake_query(SQL_LIMITS_12("9750"), "");
    assert_int_equal(bench_prepare(bench), -ENOTSUP);
    bench_assert_error(bench, "older than PostgreSQL 10");
    end(bench);
}

/* It would end the session amid a checkpoint. */
static void test_a_limit_of_transactions_is_taken_off(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    fake_server(170000, 12);
    fake_connect(BENCH_WHO);
    fake_query("SELECT pg_catalog.set_config(name, value, false) FROM (VALUES "
               "('search_path', 'pg_catalog'), ('statement_timeout', '9750'), "
               "('idle_session_timeout', '0'), ('client_connection_check_interval', '500'), "
               "('transaction_timeout', '0')) AS limits (name, value)",
               "");
    fake_query(SQL_IDENTIFY, ROW_IDENTITY);
    assert_int_equal(bench_prepare(bench), -ENOTSUP);
    end(bench);
}

static void test_an_answer_that_is_not_understood(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    fake_connect(BENCH_WHO);
    fake_query(SQL_LIMITS_PREPARE, "");
    fake_query(SQL_IDENTIFY, "15.18|quiesced");
    assert_int_equal(bench_prepare(bench), -EPROTO);
    bench_assert_error(bench, "not understood");
    end(bench);
}

static void test_settings_that_are_told(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    fake_connect(BENCH_WHO);
    fake_query(SQL_LIMITS_PREPARE, "");
    fake_query(SQL_IDENTIFY, "15.18|\"Quiesced\"|4711|off|off|/nowhere/data");
    fake_query(SQL_LIMITS_TRY, "");
    fake_query(SQL_CHECKPOINT, NULL);
    assert_int_equal(bench_prepare(bench), 0);
    assert_int_equal(bench->warnings, 2);
    bench_assert_logged(bench, "fsync is off");
    bench_assert_logged(bench, "full_page_writes is off");
    bench_assert_logged(bench, "cannot look at its data directory '/nowhere/data'");
    end(bench);
}

static void test_tablespaces_are_looked_at(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    fake_connect(BENCH_WHO);
    fake_query(SQL_LIMITS_PREPARE, "");
    fake_query(SQL_IDENTIFY, "15.18|quiesced|4711|on|on|/");
    fake_query(SQL_TABLESPACES, "same|/\nother|/proc\ngone|/nowhere/at/all");
    fake_query(SQL_LIMITS_TRY, "");
    fake_query(SQL_CHECKPOINT, NULL);
    assert_int_equal(bench_prepare(bench), 0);
    assert_int_equal(bench->warnings, 1);
    bench_assert_logged(bench, "the tablespace 'other' in '/proc' is on another filesystem");
    bench_assert_logged(bench, "the tablespace 'gone' in '/nowhere/at/all' may be");
    end(bench);
}

static void test_tablespaces_that_cannot_be_asked_for(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    fake_connect(BENCH_WHO);
    fake_query(SQL_LIMITS_PREPARE, "");
    fake_query(SQL_IDENTIFY, "15.18|quiesced|4711|on|on|/");
    fake_query_fails(SQL_TABLESPACES, "58P01", "ERROR:  could not read symbolic link\n");
    fake_query(SQL_LIMITS_TRY, "");
    fake_query(SQL_CHECKPOINT, NULL);
    assert_int_equal(bench_prepare(bench), 0);
    bench_assert_logged(bench, "could not read symbolic link");
    end(bench);
}

/* the proof */

static void thaw_finds(void **state, const char *row, const char *words)
{
    struct bench *bench = bench_held(state);

    fake_query(SQL_LIMITS_CHECK, "");
    fake_query(SQL_WHERE, row);
    fake_close();
    assert_int_equal(bench_thaw(bench), -ESTALE);
    bench_assert_error(bench, words);
}

static void test_another_postmaster(void **state)
{
    thaw_finds(state, ROW_WHERE("4711", "2026-11-20T13:30:00.000000Z", "no", "1", "0"),
               "postmaster-start was '2026-11-20T13:00:00.000001Z' and is '2026-");
}

static void test_another_session(void **state)
{
    thaw_finds(state, ROW_WHERE("4712", "2026-11-20T13:00:00.000001Z", "no", "1", "0"),
               "backend-pid was '4711' and is '4712'");
}

static void test_another_timeline(void **state)
{
    thaw_finds(state, ROW_WHERE("4711", "2026-11-20T13:00:00.000001Z", "no", "2", "0"),
               "timeline was '1' and is '2'");
}

static void test_a_promoted_standby(void **state)
{
    struct bench *bench = bench_prepared(state);

    fake_query(SQL_LIMITS_FREEZE, "");
    fake_query(SQL_WHERE, ROW_WHERE("4711", "x", "yes", "1", "0"));
    assert_int_equal(bench_freeze(bench), 0);
    fake_query(SQL_LIMITS_CHECK, "");
    fake_query(SQL_WHERE, ROW_WHERE("4711", "x", "no", "2", "0"));
    fake_close();
    assert_int_equal(bench_thaw(bench), -ESTALE);
    bench_assert_error(bench, "promoted: its timeline was 1 and is 2");
}

static void test_positions_are_no_proof(void **state)
{
    struct bench *bench = bench_held(state);

    fake_query(SQL_LIMITS_CHECK, "");
    fake_query(SQL_WHERE, "7300000000000000001|2026-11-20T13:00:00.000001Z|4711|no|1|0/9|0/9|0/9|"
                          "000000010000000000000009|NULL|NULL|0/8|1");
    fake_close();
    assert_int_equal(bench_thaw(bench), 0);
}

static void test_a_control_file_in_writing_is_read_again(void **state)
{
    struct bench *bench = bench_held(state);

    fake_query(SQL_LIMITS_CHECK, "");
    fake_query_fails(SQL_WHERE, "XX000", "ERROR:  calculated CRC checksum does not match\n");
    fake_query(SQL_WHERE, ROW_HELD);
    fake_close();
    assert_int_equal(bench_thaw(bench), 0);
}

static void test_the_servers_last_words(void **state)
{
    struct bench *bench = bench_held(state);

    fake_query_lost(SQL_LIMITS_CHECK,
                    "FATAL:  terminating connection due to administrator command\n");
    fake_close();
    assert_int_equal(bench_check(bench), -ENOTCONN);
    bench_assert_error(bench, "the hold was lost: FATAL: terminating connection due to "
                              "administrator command");
    assert_int_equal(bench_thaw(bench), -ENOTCONN);
    bench_assert_error(bench, "terminating connection");
}

static void test_a_server_that_is_gone_without_a_word(void **state)
{
    struct bench *bench = bench_held(state);

    fake_query_lost(SQL_LIMITS_CHECK, NULL);
    fake_close();
    assert_int_equal(bench_thaw(bench), -ENOTCONN);
    bench_assert_error(bench, "the hold was lost: server closed the connection unexpectedly");
}

static void test_a_server_that_cannot_be_asked(void **state)
{
    struct bench *bench = bench_held(state);

    fake_query_unsent(SQL_LIMITS_CHECK, "could not send data to server: Broken pipe\n");
    fake_close();
    assert_int_equal(bench_thaw(bench), -ENOTCONN);
    bench_assert_error(bench, "Broken pipe");
}

/* Nothing is cancelled: that might wait, and the server has its limit. */
static void test_a_server_that_does_not_answer_the_thaw(void **state)
{
    struct bench *bench = bench_held(state);

    fake_query_silent(SQL_LIMITS_CHECK);
    fake_then(bench_late);
    fake_close();
    assert_int_equal(bench_thaw(bench), -ETIMEDOUT);
    bench_assert_error(bench, "cannot be shown to have lasted: no answer in time");
}

static void test_a_cancelled_thaw_says_nothing(void **state)
{
    struct bench *bench = bench_held(state);

    fake_query_silent(SQL_LIMITS_CHECK);
    fake_then(bench_cancel);
    fake_close();
    assert_int_equal(bench_thaw(bench), -ECANCELED);
    assert_string_equal(bench->error, "");
}

static void test_nothing_to_prove_it_by(void **state)
{
    struct bench *bench = bench_prepared(state);

    fake_query(SQL_LIMITS_FREEZE, "");
    fake_query(SQL_WHERE, "NULL|x|4711|no|1|0/9|0/9|0/9|0|NULL|NULL|0/8|1");
    assert_int_equal(bench_freeze(bench), -EPROTO);
    bench_assert_error(bench, "cannot read the coordinates: the answer is not understood");
    end(bench);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_held_and_let_go),
        TEST(test_the_session_is_watched),
        TEST(test_what_is_never_looked_for),
        TEST(test_no_socket_is_not_running),
        TEST(test_refused_is_not_running),
        TEST(test_refused_at_one_address_is_a_failure),
        TEST(test_refused_and_then_starting_up_is_a_failure),
        TEST(test_forbidden_socket_is_a_failure),
        TEST(test_starting_up_is_a_failure),
        TEST(test_wrong_password_names_the_page),
        TEST(test_nobody_answers),
        TEST(test_cancelled_while_it_connects),
        TEST(test_a_pooler_is_refused),
        TEST(test_too_old_a_server),
        TEST(test_a_limit_of_transactions_is_taken_off),
        TEST(test_an_answer_that_is_not_understood),
        TEST(test_settings_that_are_told),
        TEST(test_tablespaces_are_looked_at),
        TEST(test_tablespaces_that_cannot_be_asked_for),
        TEST(test_another_postmaster),
        TEST(test_another_session),
        TEST(test_another_timeline),
        TEST(test_a_promoted_standby),
        TEST(test_positions_are_no_proof),
        TEST(test_a_control_file_in_writing_is_read_again),
        TEST(test_the_servers_last_words),
        TEST(test_a_server_that_is_gone_without_a_word),
        TEST(test_a_server_that_cannot_be_asked),
        TEST(test_a_server_that_does_not_answer_the_thaw),
        TEST(test_a_cancelled_thaw_says_nothing),
        TEST(test_nothing_to_prove_it_by),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
