/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * postgresql_bench.h: a host for the postgresql plugin, and the long stretches of its script
 *
 * The host's clock stands still, so that the limits in the statements are known. It
 * goes on when a test says so: bench_late() is for fake_then(), at a statement that
 * is never answered.
 */
#ifndef QUIESCED_TESTS_POSTGRESQL_BENCH_H
#define QUIESCED_TESTS_POSTGRESQL_BENCH_H

#include <stdint.h>

#include "quiesced-plugin.h"

/* What prepare() is given, and what a freeze gets: these stand in the statements. */
#define BENCH_PREPARE_MS 10000u
#define BENCH_FREEZE_MS 5000u
#define BENCH_HOLD_MS 60000u
#define BENCH_CHECK_MS 2000u

#define BENCH_WHO "quiesced:secret@/run/postgresql:5432/postgres"

/* The statements of the plugin */
#define SQL_LIMITS(statement, idle)                                                        \
    "SELECT pg_catalog.set_config(name, value, false) FROM (VALUES "                       \
    "('search_path', 'pg_catalog'), ('statement_timeout', '" statement                     \
    "'), ('idle_session_timeout', '" idle "'), ('client_connection_check_interval', '500'" \
    ")) AS limits (name, value)"
#define SQL_LIMITS_12(statement)                                       \
    "SELECT pg_catalog.set_config(name, value, false) FROM (VALUES "   \
    "('search_path', 'pg_catalog'), ('statement_timeout', '" statement \
    "')) AS limits (name, value)"
#define SQL_LIMITS_PREPARE SQL_LIMITS("9750", "0")
#define SQL_LIMITS_TRY SQL_LIMITS("4550", "0")
#define SQL_LIMITS_REQUIRED SQL_LIMITS("6925", "0")
#define SQL_LIMITS_FREEZE SQL_LIMITS("4750", "65000")
#define SQL_LIMITS_AGAIN SQL_LIMITS("2275", "0")
#define SQL_LIMITS_CHECK SQL_LIMITS("1750", "65000")
#define SQL_IDENTIFY "SELECT current_setting('server_version'), *"
#define SQL_TABLESPACES "SELECT spcname, pg_tablespace_location(oid) *"
#define SQL_CHECKPOINT "CHECKPOINT"
#define SQL_WHERE "SELECT s.system_identifier, *"

/* Answers: the usual one, of a role that may see no data directory */
#define ROW_IDENTITY "15.18 (Debian 15.18-0+deb12u1)|quiesced|4711|on|on|NULL"
#define ROW_WHERE(pid, start, recovery, timeline, bytes)                                      \
    "7300000000000000001|" start "|" pid "|" recovery "|" timeline "|0/5000108|0/5000100|0/5" \
    "0000F0|000000010000000000000005|NULL|NULL|0/4000028|" bytes
#define ROW_HELD ROW_WHERE("4711", "2026-11-20T13:00:00.000001Z", "no", "1", "224")

struct bench {
    struct quiesced_host host; /* first, as in the worker */
    uint64_t base;
    uint64_t clock;
    char error[1024];
    char log[2048]; /* all that is more than for debugging, each with a line feed */
    unsigned int warnings;
    char server[64];
    char method[32];
    char coordinates[1024]; /* "key=value;" of each */
    int cancel[2];          /* a pipe; readable: cancelled */
    void *self;
};

/* For cmocka: *state is the bench. */
int bench_setup(void **state);
int bench_teardown(void **state);

int bench_option(struct bench *bench, const char *key, const char *value);
int bench_ready(struct bench *bench);
/* The options of BENCH_WHO. */
void bench_configure(struct bench *bench);

/* What is called next, with the usual answers */
void bench_expect_identity(void);
void bench_expect_prepare(void);
void bench_expect_where(const char *limits);

int bench_prepare(struct bench *bench);
int bench_freeze(struct bench *bench);
int bench_check(struct bench *bench);
int bench_thaw(struct bench *bench);
void bench_abort(struct bench *bench);

/* Configured, and through prepare(), or through freeze() too, with the usual answers */
struct bench *bench_prepared(void **state);
struct bench *bench_held(void **state);

/* The error that was told, or what was logged, has these words. */
void bench_assert_error(const struct bench *bench, const char *words);
void bench_assert_logged(const struct bench *bench, const char *words);

/* For fake_then(): every deadline passes; the callback is not wanted any more. */
void bench_late(void);
void bench_cancel(void);

#endif
