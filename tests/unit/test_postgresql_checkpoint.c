/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_postgresql_checkpoint.c: the postgresql plugin's checkpoints, on a scripted libpq */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "fake_libpq.h"
#include "postgresql_bench.h"

static void end(struct bench *bench)
{
    fake_close();
    bench_abort(bench);
}

static struct bench *checkpoint_fails(void **state, const char *policy, const char *sqlstate,
                                      const char *text, int result)
{
    struct bench *bench = *state;

    bench_configure(bench);
    assert_int_equal(bench_option(bench, "checkpoint", policy), 0);
    bench_expect_identity();
    fake_query(strcmp(policy, "try") == 0 ? SQL_LIMITS_TRY : SQL_LIMITS_REQUIRED, "");
    fake_query_fails(SQL_CHECKPOINT, sqlstate, text);
    assert_int_equal(bench_prepare(bench), result);
    return bench;
}

static void test_no_right_is_a_warning(void **state)
{
    struct bench *bench = checkpoint_fails(state, "try", "42501", "ERROR:  permission denied\n", 0);

    assert_int_equal(bench->warnings, 1);
    bench_assert_logged(bench, "GRANT pg_checkpoint TO quiesced");
    /* and none is tried again, however much there is to replay */
    fake_query(SQL_LIMITS_FREEZE, "");
    fake_query(SQL_WHERE, ROW_WHERE("4711", "x", "no", "1", "9999999999"));
    assert_int_equal(bench_freeze(bench), 0);
    end(bench);
}

static void test_no_right_where_it_is_required(void **state)
{
    struct bench *bench =
        checkpoint_fails(state, "required", "42501", "ERROR:  permission denied\n", -EACCES);

    bench_assert_error(bench, "GRANT pg_checkpoint TO quiesced");
    end(bench);
}

static void test_no_right_before_15(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    fake_server(120022, 4711);
    fake_connect(BENCH_WHO);
    fake_query(SQL_LIMITS_12("9750"), "");
    fake_query(SQL_IDENTIFY, "12.22|quiesced|4711|on|on|NULL");
    fake_query(SQL_LIMITS_12("4550"), "");
    fake_query_fails(SQL_CHECKPOINT, "42501", "ERROR:  must be superuser to do CHECKPOINT\n");
    assert_int_equal(bench_prepare(bench), 0);
    bench_assert_logged(bench, "before PostgreSQL 15 only a superuser");
    assert_string_equal(bench->server, "PostgreSQL 12.22");
    end(bench);
}

static void test_late_is_a_warning(void **state)
{
    struct bench *bench = checkpoint_fails(
        state, "try", "57014", "ERROR:  canceling statement due to statement timeout\n", 0);

    bench_assert_logged(bench, "CHECKPOINT did not end within 4750 ms");
    end(bench);
}

static void test_late_where_it_is_required(void **state)
{
    struct bench *bench =
        checkpoint_fails(state, "required", "57014",
                         "ERROR:  canceling statement due to statement timeout\n", -ETIMEDOUT);

    bench_assert_error(bench, "CHECKPOINT did not end within 7125 ms");
    end(bench);
}

static void test_failed_where_it_is_required(void **state)
{
    struct bench *bench = checkpoint_fails(state, "required", "XX000",
                                           "ERROR:  checkpoint request failed\n", -EREMOTEIO);

    bench_assert_error(bench, "checkpoint request failed");
    end(bench);
}

static void test_none_is_made_when_it_is_not_wanted(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    assert_int_equal(bench_option(bench, "checkpoint", "no"), 0);
    bench_expect_identity();
    assert_int_equal(bench_prepare(bench), 0);
    end(bench);
}

static void test_cancelled_it_is_ended_on_the_server(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    bench_expect_identity();
    fake_query(SQL_LIMITS_TRY, "");
    fake_query_silent(SQL_CHECKPOINT);
    fake_then(bench_cancel);
    assert_int_equal(bench_prepare(bench), -ECANCELED);
    assert_string_equal(bench->error, "");
    fake_cancel();
    end(bench);
}

static void test_a_server_that_does_not_keep_its_limit(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench);
    bench_expect_identity();
    fake_query(SQL_LIMITS_TRY, "");
    fake_query_silent(SQL_CHECKPOINT);
    fake_then(bench_late);
    assert_int_equal(bench_prepare(bench), -ETIMEDOUT);
    bench_assert_error(bench, "no answer in time");
    fake_cancel();
    end(bench);
}

static void test_a_second_one_when_it_pays(void **state)
{
    struct bench *bench = bench_prepared(state);

    fake_query(SQL_LIMITS_FREEZE, "");
    fake_query(SQL_WHERE, ROW_WHERE("4711", "x", "no", "1", "268435456"));
    fake_query(SQL_LIMITS_AGAIN, "");
    fake_query(SQL_CHECKPOINT, NULL);
    bench_expect_where(SQL_LIMITS_FREEZE);
    assert_int_equal(bench_freeze(bench), 0);
    end(bench);
}

static void test_a_second_one_that_is_late_does_not_matter(void **state)
{
    struct bench *bench = bench_prepared(state);

    fake_query(SQL_LIMITS_FREEZE, "");
    fake_query(SQL_WHERE, ROW_WHERE("4711", "x", "no", "1", "268435456"));
    fake_query(SQL_LIMITS_AGAIN, "");
    fake_query_fails(SQL_CHECKPOINT, "57014", "ERROR:  canceling statement\n");
    bench_expect_where(SQL_LIMITS_FREEZE);
    assert_int_equal(bench_freeze(bench), 0);
    assert_int_equal(bench->warnings, 0);
    bench_assert_logged(bench, "about 256 MB to replay");
    end(bench);
}

static void test_no_second_one_on_a_standby(void **state)
{
    struct bench *bench = bench_prepared(state);

    fake_query(SQL_LIMITS_FREEZE, "");
    fake_query(SQL_WHERE, ROW_WHERE("4711", "x", "yes", "1", "268435456"));
    assert_int_equal(bench_freeze(bench), 0);
    end(bench);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_right_is_a_warning),
        TEST(test_no_right_where_it_is_required),
        TEST(test_no_right_before_15),
        TEST(test_late_is_a_warning),
        TEST(test_late_where_it_is_required),
        TEST(test_failed_where_it_is_required),
        TEST(test_none_is_made_when_it_is_not_wanted),
        TEST(test_cancelled_it_is_ended_on_the_server),
        TEST(test_a_server_that_does_not_keep_its_limit),
        TEST(test_a_second_one_when_it_pays),
        TEST(test_a_second_one_that_is_late_does_not_matter),
        TEST(test_no_second_one_on_a_standby),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
