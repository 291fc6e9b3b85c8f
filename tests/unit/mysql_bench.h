/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mysql_bench.h: a host for the mysql plugin, and the long stretches of its script
 *
 * The host's clock stands still, so that the limits in the statements are known. It
 * goes on when a test says so: bench_late() is for fake_then(), at a statement that
 * is never answered.
 */
#ifndef QUIESCED_TESTS_MYSQL_BENCH_H
#define QUIESCED_TESTS_MYSQL_BENCH_H

#include <stdint.h>

#include "quiesced-plugin.h"

/* What prepare() is given, and what a freeze gets: these stand in the statements. */
#define BENCH_PREPARE_MS 10000u
#define BENCH_FREEZE_MS 5000u
#define BENCH_HOLD_MS 60000u
#define BENCH_CHECK_MS 2000u

#define BENCH_WHO "quiesced:secret@/run/mysqld/mysqld.sock"
#define BENCH_GRANT_MARIADB \
    "GRANT RELOAD, PROCESS, BINLOG MONITOR, SLAVE MONITOR ON *.* TO 'quiesced'@'localhost'"

/* The statements of the plugin */
#define SQL_IDENTIFY "SELECT VERSION(), @@version_comment, CURRENT_USER()"
#define SQL_VARIABLES                                           \
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', " \
    "'server_uuid', 'server_uid', 'innodb_flush_log_at_trx_commit', 'gtid_slave_pos')"
#define SQL_SESSION                                             \
    "SET SESSION wait_timeout = 86400, net_read_timeout = 10, " \
    "net_write_timeout = 10, autocommit = 1"
#define SQL_SESSION_MARIADB SQL_SESSION ", max_statement_time = 0"
#define SQL_ID "SELECT CONNECTION_ID()"
#define SQL_GRANTS "SHOW GRANTS"
#define SQL_BINLOG "SHOW MASTER STATUS"
#define SQL_BINLOG_NEW "SHOW BINARY LOG STATUS"
#define SQL_REPLICA "SHOW REPLICA STATUS"
#define SQL_REPLICA_MARIADB "SHOW ALL SLAVES STATUS"
#define SQL_LOG_STATUS                                                               \
    "SELECT LOCAL->>'$.binary_log_file', LOCAL->>'$.binary_log_position', "          \
    "STORAGE_ENGINES->>'$.InnoDB.LSN', STORAGE_ENGINES->>'$.InnoDB.LSN_checkpoint' " \
    "FROM performance_schema.log_status"
#define SQL_PROCESSES "SHOW PROCESSLIST"
#define SQL_PROCESSES_MARIADB                                                          \
    "SELECT ID, USER, HOST, DB, COMMAND, TIME_MS, STATE, LEFT(INFO, 1000), QUERY_ID, " \
    "INFO LIKE '%FOR UPDATE%' OR INFO LIKE '%IN SHARE MODE%' "                         \
    "FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID()"
#define SQL_LIMITS_MARIADB "SET SESSION wait_timeout = 65, lock_wait_timeout = 2"
#define SQL_LIMITS_MYSQL "SET SESSION wait_timeout = 65, lock_wait_timeout = 1"
#define SQL_LOCK "FLUSH LOCAL TABLES WITH READ LOCK"
#define SQL_BOUND "SET STATEMENT max_statement_time = 1.000 FOR "
#define SQL_LOCK_MARIADB SQL_BOUND SQL_LOCK
#define SQL_START "SET STATEMENT max_statement_time = 0.250 FOR BACKUP STAGE START"
#define SQL_FLUSH SQL_BOUND "BACKUP STAGE FLUSH"
#define SQL_BLOCK_DDL SQL_BOUND "BACKUP STAGE BLOCK_DDL"
#define SQL_BLOCK_COMMIT SQL_BOUND "BACKUP STAGE BLOCK_COMMIT"
#define SQL_KILL "KILL 11"
#define SQL_KILL_SPARE "KILL 13"
#define SQL_LAZY "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit"
#define SQL_LSN                                  \
    "SHOW GLOBAL STATUS WHERE Variable_name IN " \
    "('Innodb_lsn_current', 'Innodb_lsn_flushed')"
#define SQL_FLUSH_LOGS "FLUSH LOCAL ENGINE LOGS"
#define SQL_WHERE_MARIADB                                                    \
    "SELECT CONNECTION_ID(), @@GLOBAL.server_id, @@GLOBAL.gtid_binlog_pos, " \
    "@@GLOBAL.gtid_current_pos, @@GLOBAL.gtid_slave_pos"
#define SQL_WHERE_MYSQL "SELECT CONNECTION_ID(), @@GLOBAL.server_id, @@GLOBAL.gtid_executed"
#define SQL_STATUS                                          \
    "SHOW GLOBAL STATUS WHERE Variable_name IN ('Uptime', " \
    "'Innodb_lsn_current', 'Innodb_redo_log_current_lsn')"
#define SQL_UNLOCK "UNLOCK TABLES"
#define SQL_END "BACKUP STAGE END"

struct bench {
    struct quiesced_host host; /* first, as in the worker */
    uint64_t base;
    uint64_t clock;
    char error[1024];
    char log[1024]; /* the last one */
    unsigned int warnings;
    unsigned int secret_files; /* opened as such */
    unsigned int sessions;     /* that a test has opened by itself */
    char server[64];
    char method[32];
    char coordinates[1024]; /* "key=value;" of each */
    int cancel[2];          /* a pipe; readable: cancelled */
    void *self;
};

/* For cmocka: *state is the bench. */
int bench_setup(void **state);
int bench_teardown(void **state);

/* What is called next, with the usual answers */
enum bench_flavour {
    BENCH_MARIADB,       /* method = auto: BACKUP STAGE */
    BENCH_MARIADB_FTWRL, /* method = ftwrl */
    BENCH_MYSQL,
    BENCH_MYSQL_LAZY
};

/* The options of BENCH_WHO, and one more. */
void bench_configure(struct bench *bench, enum bench_flavour flavour);
void bench_set(struct bench *bench, const char *key, const char *value);

void bench_expect_identity(enum bench_flavour flavour);
void bench_expect_prepare(enum bench_flavour flavour);
void bench_expect_lock(enum bench_flavour flavour);
/* After the lock, when all is as usual; then the proof alone */
void bench_expect_hold(enum bench_flavour flavour);
void bench_expect_coordinates(enum bench_flavour flavour);
/* Of the sessions that a hold has, and that prepare() has left */
void bench_expect_close(void);
void bench_expect_close_all(void);

int bench_prepare(struct bench *bench);
int bench_freeze(struct bench *bench);
int bench_check(struct bench *bench);
int bench_thaw(struct bench *bench);
void bench_abort(struct bench *bench);

/* Configured, and through prepare(), or through freeze() too, with the usual answers */
struct bench *bench_prepared(void **state, enum bench_flavour flavour);
struct bench *bench_held(void **state, enum bench_flavour flavour);

/* The error that was told has these words. */
void bench_assert_error(const struct bench *bench, const char *words);

/* For fake_then(): every deadline passes; the callback is not wanted any more. */
void bench_late(void);
void bench_cancel(void);

#endif
