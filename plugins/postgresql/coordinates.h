/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * coordinates.h: where the server stands, and whether it is still the same one
 *
 * The proof that a hold has lasted: the same session answers, of the same postmaster,
 * on the same timeline of the same cluster, and a standby has not become a primary.
 * Positions in the log are no part of it, since nobody is kept from writing.
 */
#ifndef POSTGRESQL_COORDINATES_H
#define POSTGRESQL_COORDINATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client.h"
#include "quiesced-plugin.h"

enum coordinate {
    COORDINATE_SYSTEM_IDENTIFIER,
    COORDINATE_POSTMASTER_START,
    COORDINATE_BACKEND_PID,
    COORDINATE_IN_RECOVERY,
    COORDINATE_TIMELINE,
    COORDINATE_INSERT_LSN, /* a primary's, and these three */
    COORDINATE_WRITE_LSN,
    COORDINATE_FLUSH_LSN,
    COORDINATE_WAL_FILE,
    COORDINATE_RECEIVED_LSN, /* a standby's, and this one */
    COORDINATE_REPLAYED_LSN,
    COORDINATE_REDO_LSN,   /* where the last checkpoint begins: a copy replays from there */
    COORDINATE_REDO_BYTES, /* how much that is, up to now; not reported */
    COORDINATES,
};

struct coordinates {
    char values[COORDINATES][64]; /* "": the server has none */
};

/* As client_query(); -EPROTO when there is nothing to prove anything by. */
int coordinates_read(struct client *client, uint64_t deadline, struct coordinates *ret);

void coordinates_report(const struct coordinates *coordinates, const struct quiesced_host *host);

bool coordinates_are_of_standby(const struct coordinates *coordinates);
/* What a copy would replay */
uint64_t coordinates_redo_bytes(const struct coordinates *coordinates);

/* Did the hold last from @before to @after? If not, false, and why. */
bool coordinates_match(const struct coordinates *before, const struct coordinates *after,
                       char *ret_why, size_t size);

#endif
