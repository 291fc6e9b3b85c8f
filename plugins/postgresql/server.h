/* SPDX-License-Identifier: GPL-2.0-or-later */
/* server.h: which server answers, what it is set to, and the limits of our session */
#ifndef POSTGRESQL_SERVER_H
#define POSTGRESQL_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "client.h"
#include "quiesced-plugin.h"

/* From the functions on that the plugin asks: pg_current_wal_lsn() and its like */
#define SERVER_VERSION_LEAST 100000
#define SERVER_VERSION_CHECKPOINT_ROLE 150000
#define SERVER_VERSION_SESSION_LIMITS 140000
#define SERVER_VERSION_TRANSACTION_LIMIT 170000

struct server {
    int version;               /* 150018 */
    char name[64];             /* "PostgreSQL 15.18" */
    char account[200];         /* the role, as GRANT wants it */
    char data_directory[1024]; /* "": we may not know */
    bool fsync;
    bool full_page_writes;
};

/* Asks the server. 0, or what client_query() returned; -EPROTO when the answer has not
 * the form of one; -ENOTSUP when it is none that we can hold: *ret_why says why. */
int server_identify(struct client *client, uint64_t deadline, struct server *ret,
                    const char **ret_why);

/*
 * The server's own limits, for when nobody is left to keep ours: each statement ends by
 * itself a little before @deadline, and an idle session after @idle_ms. As client_query().
 */
int server_limit(struct client *client, const struct quiesced_host *host, uint64_t deadline,
                 uint64_t idle_ms);

/* Tells @host of settings under which a copy may be no good. */
void server_warn(const struct server *server, const struct quiesced_host *host);

#endif
