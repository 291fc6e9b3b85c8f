/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinates.h"

static const struct {
    const char *key;
    enum {
        PROVES_NOTHING,
        PROVES_SAMENESS
    } proof;
} coordinate_table[COORDINATES] = {
    [COORDINATE_SYSTEM_IDENTIFIER] = { "system-identifier", PROVES_SAMENESS },
    [COORDINATE_POSTMASTER_START] = { "postmaster-start", PROVES_SAMENESS },
    [COORDINATE_BACKEND_PID] = { "backend-pid", PROVES_SAMENESS },
    [COORDINATE_IN_RECOVERY] = { "in-recovery", PROVES_SAMENESS },
    [COORDINATE_TIMELINE] = { "timeline", PROVES_SAMENESS },
    [COORDINATE_INSERT_LSN] = { "insert-lsn", PROVES_NOTHING },
    [COORDINATE_WRITE_LSN] = { "write-lsn", PROVES_NOTHING },
    [COORDINATE_FLUSH_LSN] = { "flush-lsn", PROVES_NOTHING },
    [COORDINATE_WAL_FILE] = { "wal-file", PROVES_NOTHING },
    [COORDINATE_RECEIVED_LSN] = { "received-lsn", PROVES_NOTHING },
    [COORDINATE_REPLAYED_LSN] = { "replayed-lsn", PROVES_NOTHING },
    [COORDINATE_REDO_LSN] = { "redo-lsn", PROVES_NOTHING },
    [COORDINATE_REDO_BYTES] = { NULL, PROVES_NOTHING },
};

/*
 * One statement, in the order of enum coordinate. The timeline is in the name of the
 * log's file on a primary. The control file has it too, but after a promotion only
 * from the next checkpoint on; on a standby there is nothing newer to be seen by all.
 */
static const char sql_where[] =
    "SELECT s.system_identifier, "
    "to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC', "
    "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), "
    "pg_backend_pid(), "
    "CASE WHEN pg_is_in_recovery() THEN 'yes' ELSE 'no' END, "
    "CASE WHEN pg_is_in_recovery() THEN greatest(c.timeline_id, r.min_recovery_end_timeline) "
    "ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int END, "
    "CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_insert_lsn() END, "
    "CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn() END, "
    "CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_flush_lsn() END, "
    "CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_lsn()) END, "
    "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() END, "
    "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END, "
    "c.redo_lsn, "
    "pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() "
    "ELSE pg_current_wal_insert_lsn() END, c.redo_lsn) "
    "FROM pg_control_system() s, pg_control_checkpoint() c, pg_control_recovery() r";

/*
 * The functions that read the control file did so without its lock until the releases
 * of November 2023. Then they find a wrong checksum if it is just being written: an
 * error without a number of its own, so what looks like it is asked once more.
 */
static int ask(struct client *client, uint64_t deadline, struct client_rows **ret_rows)
{
    int r = client_query(client, sql_where, deadline, ret_rows);

    if (r == -EREMOTEIO && strcmp(client_state(client), CLIENT_E_INTERNAL) == 0) {
        r = client_query(client, sql_where, deadline, ret_rows);
    }
    return r;
}

int coordinates_read(struct client *client, uint64_t deadline, struct coordinates *ret)
{
    CLEANUP_ROWS struct client_rows *rows = NULL;
    struct coordinates coordinates = { .values = { "" } };
    int r;

    r = ask(client, deadline, &rows);
    if (r < 0) {
        return r;
    }
    if (client_rows_count(rows) != 1 || client_rows_width(rows) != COORDINATES) {
        return -EPROTO;
    }
    for (unsigned int i = 0; i < COORDINATES; i++) {
        const char *value = client_rows_get(rows, 0, i);

        if (value == NULL && coordinate_table[i].proof == PROVES_SAMENESS) {
            return -EPROTO;
        }
        if (value != NULL) {
            (void)snprintf(coordinates.values[i], sizeof(coordinates.values[i]), "%s", value);
        }
    }
    *ret = coordinates;
    return 0;
}

void coordinates_report(const struct coordinates *coordinates, const struct quiesced_host *host)
{
    for (int i = 0; i < COORDINATES; i++) {
        if (coordinate_table[i].key != NULL && coordinates->values[i][0] != '\0') {
            host->coordinate(host, coordinate_table[i].key, coordinates->values[i]);
        }
    }
}

bool coordinates_are_of_standby(const struct coordinates *coordinates)
{
    return strcmp(coordinates->values[COORDINATE_IN_RECOVERY], "yes") == 0;
}

uint64_t coordinates_redo_bytes(const struct coordinates *coordinates)
{
    const char *value = coordinates->values[COORDINATE_REDO_BYTES];

    return value[0] >= '0' && value[0] <= '9' ? strtoull(value, NULL, 10) : 0;
}

bool coordinates_match(const struct coordinates *before, const struct coordinates *after,
                       char *ret_why, size_t size)
{
    if (coordinates_are_of_standby(before) && !coordinates_are_of_standby(after)) {
        (void)snprintf(ret_why, size, "the standby was promoted: its timeline was %s and is %s",
                       before->values[COORDINATE_TIMELINE], after->values[COORDINATE_TIMELINE]);
        return false;
    }
    for (int i = 0; i < COORDINATES; i++) {
        if (coordinate_table[i].proof == PROVES_SAMENESS &&
            strcmp(before->values[i], after->values[i]) != 0) {
            (void)snprintf(ret_why, size, "%s was '%s' and is '%s'", coordinate_table[i].key,
                           before->values[i], after->values[i]);
            return false;
        }
    }
    return true;
}
