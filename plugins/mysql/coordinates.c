/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinates.h"
#include "deadline.h"

/* What a restarted server's uptime may exceed the time since by: it counts whole
 * seconds, on another clock. */
#define UPTIME_SLACK_SECONDS 2u

static const struct {
    const char *key;
    enum {
        PROVES_NOTHING,
        PROVES_SESSION,
        PROVES_POSITION,
        PROVES_GTID
    } proof;
} coordinate_table[COORDINATES] = {
    [COORDINATE_CONNECTION_ID] = { "connection-id", PROVES_SESSION },
    [COORDINATE_SERVER_ID] = { "server-id", PROVES_NOTHING },
    [COORDINATE_BINLOG_FILE] = { "binlog-file", PROVES_POSITION },
    [COORDINATE_BINLOG_POSITION] = { "binlog-position", PROVES_POSITION },
    [COORDINATE_GTID_EXECUTED] = { "gtid-executed", PROVES_GTID },
    [COORDINATE_GTID_BINLOG_POS] = { "gtid-binlog-pos", PROVES_GTID },
    [COORDINATE_GTID_CURRENT_POS] = { "gtid-current-pos", PROVES_GTID },
    [COORDINATE_GTID_SLAVE_POS] = { "gtid-slave-pos", PROVES_GTID },
    [COORDINATE_LSN] = { "lsn", PROVES_NOTHING },
};

/* Keeps a copy of @value; a set of GTIDs comes with line breaks in it. */
static int coordinates_keep(struct coordinates *coordinates, enum coordinate which,
                            const char *value)
{
    char *copy;
    char *to;

    if (value == NULL || value[0] == '\0') {
        return 0;
    }
    copy = strdup(value);
    if (copy == NULL) {
        return -ENOMEM;
    }
    to = copy;
    for (const char *from = copy; *from != '\0'; from++) {
        if (*from != '\n' && *from != '\r') {
            *to++ = *from;
        }
    }
    *to = '\0';
    free(coordinates->values[which]);
    coordinates->values[which] = copy;
    return 0;
}

/* The session, and the GTIDs in full: SHOW VARIABLES would cut them. */
static int read_session(struct client *client, const struct server *server, enum client_wait wait,
                        uint64_t deadline, struct coordinates *coordinates)
{
    static const enum coordinate columns_mariadb[] = {
        COORDINATE_CONNECTION_ID,    COORDINATE_SERVER_ID,      COORDINATE_GTID_BINLOG_POS,
        COORDINATE_GTID_CURRENT_POS, COORDINATE_GTID_SLAVE_POS,
    };
    static const enum coordinate columns_mysql[] = {
        COORDINATE_CONNECTION_ID,
        COORDINATE_SERVER_ID,
        COORDINATE_GTID_EXECUTED,
    };
    bool mariadb = server->flavour == SERVER_MARIADB;
    const enum coordinate *columns = mariadb ? columns_mariadb : columns_mysql;
    unsigned int n = mariadb ? 5 : 3;
    const char *sql = mariadb ? "SELECT CONNECTION_ID(), @@GLOBAL.server_id, "
                                "@@GLOBAL.gtid_binlog_pos, @@GLOBAL.gtid_current_pos, "
                                "@@GLOBAL.gtid_slave_pos"
                              : "SELECT CONNECTION_ID(), @@GLOBAL.server_id, "
                                "@@GLOBAL.gtid_executed";
    CLEANUP_ROWS struct client_rows *rows = NULL;
    const char *const *row;
    int r;

    r = client_query(client, sql, wait, deadline, &rows);
    if (r == -EREMOTEIO && client_code(client) == CLIENT_E_UNKNOWN_VARIABLE) {
        /* before MySQL 5.6 and MariaDB 10.0 */
        n = 2;
        r = client_query(client, "SELECT CONNECTION_ID(), @@GLOBAL.server_id", wait, deadline,
                         &rows);
    }
    if (r < 0) {
        return r;
    }
    row = client_rows_next(rows);
    if (row == NULL || client_rows_width(rows) != n || row[0] == NULL) {
        return -EPROTO;
    }
    for (unsigned int i = 0; i < n && r == 0; i++) {
        r = coordinates_keep(coordinates, columns[i], row[i]);
    }
    return r;
}

/* The one spelling, and if the server does not know it, the other from then on */
static int ask_binlog(struct client *client, struct server *server, enum client_wait wait,
                      uint64_t deadline, struct client_rows **ret_rows)
{
    for (int attempt = 0;; attempt++) {
        int r = client_query(
            client, server->new_binlog_status ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS",
            wait, deadline, ret_rows);

        if (r != -EREMOTEIO || client_code(client) != CLIENT_E_PARSE || attempt > 0) {
            return r;
        }
        server->new_binlog_status = !server->new_binlog_status;
    }
}

static int read_binlog(struct client *client, struct server *server, enum client_wait wait,
                       uint64_t deadline, struct coordinates *coordinates)
{
    CLEANUP_ROWS struct client_rows *rows = NULL;
    const char *const *row;
    int r;

    if (!server->binlog) {
        return 0;
    }
    r = ask_binlog(client, server, wait, deadline, &rows);
    if (r == -EREMOTEIO && client_code(client) == CLIENT_E_PRIVILEGE) {
        coordinates->binlog_refused = true;
        return 0;
    }
    if (r < 0) {
        return r;
    }
    row = client_rows_next(rows);
    if (row == NULL || client_rows_width(rows) < 2) {
        return 0;
    }
    r = coordinates_keep(coordinates, COORDINATE_BINLOG_FILE, row[0]);
    return r < 0 ? r : coordinates_keep(coordinates, COORDINATE_BINLOG_POSITION, row[1]);
}

static int read_status(struct client *client, enum client_wait wait, uint64_t deadline,
                       struct coordinates *coordinates)
{
    CLEANUP_ROWS struct client_rows *rows = NULL;
    const char *const *row;
    int r;

    r = client_query(client,
                     "SHOW GLOBAL STATUS WHERE Variable_name IN ('Uptime', "
                     "'Innodb_lsn_current', 'Innodb_redo_log_current_lsn')",
                     wait, deadline, &rows);
    if (r < 0) {
        return r;
    }
    while (client_rows_width(rows) >= 2 && (row = client_rows_next(rows)) != NULL) {
        if (row[0] == NULL || row[1] == NULL) {
            continue;
        }
        if (strcasecmp(row[0], "Uptime") == 0) {
            coordinates->uptime = strtoull(row[1], NULL, 10);
        } else {
            r = coordinates_keep(coordinates, COORDINATE_LSN, row[1]);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

int coordinates_read(struct client *client, struct server *server, enum client_wait wait,
                     uint64_t deadline, struct coordinates *ret)
{
    struct coordinates coordinates = { .read_at = deadline_now() };
    int r;

    r = read_session(client, server, wait, deadline, &coordinates);
    if (r == 0) {
        r = read_binlog(client, server, wait, deadline, &coordinates);
    }
    if (r == 0) {
        r = read_status(client, wait, deadline, &coordinates);
    }
    if (r < 0) {
        coordinates_clear(&coordinates);
        return r;
    }
    coordinates_clear(ret);
    *ret = coordinates;
    return 0;
}

void coordinates_clear(struct coordinates *coordinates)
{
    for (int i = 0; i < COORDINATES; i++) {
        free(coordinates->values[i]);
    }
    *coordinates = (struct coordinates){ .uptime = 0 };
}

void coordinates_report(const struct coordinates *coordinates, const struct server *server,
                        const struct quiesced_host *host)
{
    if (server->identity[0] != '\0') {
        host->coordinate(host, "server-uuid", server->identity);
    }
    for (int i = 0; i < COORDINATES; i++) {
        if (coordinates->values[i] != NULL) {
            host->coordinate(host, coordinate_table[i].key, coordinates->values[i]);
        }
    }
}

/*
 * Uptime is taken from the wall clock, which a host may set back in its guest just
 * while it takes a snapshot. So a smaller one alone proves nothing: after a restart
 * it is also no longer than the time since.
 */
static bool was_restarted(const struct coordinates *before, const struct coordinates *after)
{
    uint64_t since = (after->read_at - before->read_at) / USEC_PER_SEC;

    return after->uptime < before->uptime && after->uptime <= since + UPTIME_SLACK_SECONDS;
}

static const char *coordinate_text(const struct coordinates *coordinates, int which)
{
    return coordinates->values[which] != NULL ? coordinates->values[which] : "";
}

/* FLUSH BINARY LOGS, a log rotation's say, passes the lock and begins a new file.
 * Where there are GTIDs, they tell whether anything was written. */
static bool was_rotated(const struct coordinates *before, const struct coordinates *after)
{
    bool has_gtid = before->values[COORDINATE_GTID_EXECUTED] != NULL ||
                    before->values[COORDINATE_GTID_BINLOG_POS] != NULL;

    return has_gtid && strcmp(coordinate_text(before, COORDINATE_BINLOG_FILE),
                              coordinate_text(after, COORDINATE_BINLOG_FILE)) != 0;
}

bool coordinates_match(const struct coordinates *before, const struct coordinates *after,
                       char *ret_why, size_t size)
{
    bool rotated = was_rotated(before, after);

    for (int i = 0; i < COORDINATES; i++) {
        const char *was = coordinate_text(before, i);
        const char *is = coordinate_text(after, i);

        if (coordinate_table[i].proof == PROVES_NOTHING ||
            (coordinate_table[i].proof == PROVES_POSITION && rotated)) {
            continue;
        }
        if (strcmp(was, is) != 0) {
            (void)snprintf(ret_why, size, "%s was '%.160s' and is '%.160s'",
                           coordinate_table[i].key, was, is);
            return false;
        }
    }
    if (was_restarted(before, after)) {
        (void)snprintf(ret_why, size,
                       "the server was restarted: up for %llu s, after %llu s before",
                       after->uptime, before->uptime);
        return false;
    }
    return true;
}

int coordinates_probe_binlog(struct client *client, struct server *server, uint64_t deadline)
{
    CLEANUP_ROWS struct client_rows *rows = NULL;
    int r;

    if (!server->binlog) {
        return 0;
    }
    r = ask_binlog(client, server, CLIENT_CANCELLABLE, deadline, &rows);
    if (r == -EREMOTEIO && client_code(client) == CLIENT_E_PRIVILEGE) {
        return 1;
    }
    return r;
}
