/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * coordinates.h: where the server stands, and whether it has moved
 *
 * The proof that a hold has lasted: the same session answers, the server has not
 * been started anew, and neither the binary log's position nor a GTID has changed. A
 * new file of the binary log alone is no change where there are GTIDs.
 * The log sequence number is no part of it: purge moves it under the lock.
 */
#ifndef MYSQL_COORDINATES_H
#define MYSQL_COORDINATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client.h"
#include "quiesced-plugin.h"
#include "server.h"

enum coordinate {
    COORDINATE_CONNECTION_ID,
    COORDINATE_SERVER_ID,
    COORDINATE_BINLOG_FILE,
    COORDINATE_BINLOG_POSITION,
    COORDINATE_GTID_EXECUTED,   /* MySQL */
    COORDINATE_GTID_BINLOG_POS, /* MariaDB, and these two */
    COORDINATE_GTID_CURRENT_POS,
    COORDINATE_GTID_SLAVE_POS,
    COORDINATE_LSN,
    COORDINATES,
};

struct coordinates {
    char *values[COORDINATES]; /* NULL: the server has none, or does not tell */
    unsigned long long uptime; /* seconds, by the server's wall clock */
    uint64_t read_at;          /* CLOCK_MONOTONIC, microseconds */
    bool binlog_refused;       /* we may not ask for the binary log's position */
};

/* As client_query(); -EPROTO when there is no connection id to prove anything by. */
int coordinates_read(struct client *client, struct server *server, enum client_wait wait,
                     uint64_t deadline, struct coordinates *ret);
void coordinates_clear(struct coordinates *coordinates);

void coordinates_report(const struct coordinates *coordinates, const struct server *server,
                        const struct quiesced_host *host);

/* Did the hold last from @before to @after? If not, false, and why. */
bool coordinates_match(const struct coordinates *before, const struct coordinates *after,
                       char *ret_why, size_t size);

/* Asks for the binary log's position and forgets it: learns the spelling of this
 * server. 1 when the privilege for it is missing, else as client_query(). */
int coordinates_probe_binlog(struct client *client, struct server *server, uint64_t deadline);

#endif
