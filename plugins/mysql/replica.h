/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replica.h: how far a replica has executed what its primary wrote
 *
 * The position that was executed, never the one that was received: what lies between
 * them is in the relay log alone, and a restored copy may not trust that.
 */
#ifndef MYSQL_REPLICA_H
#define MYSQL_REPLICA_H

#include <stdint.h>

#include "client.h"
#include "quiesced-plugin.h"
#include "server.h"

/* Under the hold: tells @host the coordinates of each channel, none on a server that is
 * no replica. As client_query(); 0 also when we may not ask. */
int replica_report(struct client *client, const struct server *server,
                   const struct quiesced_host *host, uint64_t deadline);

/* In prepare: 1 when the privilege for it is missing, else as client_query(). */
int replica_probe(struct client *client, const struct server *server, uint64_t deadline);

#endif
