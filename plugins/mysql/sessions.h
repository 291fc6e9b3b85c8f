/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sessions.h: the plugin's connections to one server
 *
 * All are opened in prepare: at max_connections a new one is refused just when
 * writers pile up behind the lock. The lock's session holds by merely existing. The
 * control session ends the other one's wait and looks around. A session whose try
 * of the lock failed is killed and closed; then the spare one takes its place, and a
 * new spare is opened while nobody waits for a lock of ours. Without a spare there
 * is one try less.
 */
#ifndef MYSQL_SESSIONS_H
#define MYSQL_SESSIONS_H

#include <stdint.h>

#include "client.h"
#include "options.h"
#include "quiesced-plugin.h"
#include "server.h"

struct sessions {
    const struct quiesced_host *host;
    const struct options *options;
    const struct server *server;
    struct client *lock;
    struct client *control;
    struct client *spare;
    char lock_id[24]; /* CONNECTION_ID(), "" before it is known */
    char spare_id[24];
};

/* The pointers stay the caller's. Opens nothing. */
int sessions_init(struct sessions *sessions, const struct quiesced_host *host,
                  const struct options *options, const struct server *server);
/* Closes them; works on zeroes. */
void sessions_clear(struct sessions *sessions);

/* Connects all, and asks who the server is. 0, QUIESCED_NOT_RUNNING or -errno; what is
 * wrong was told to the host. */
int sessions_open(struct sessions *sessions, struct server *ret_server, uint64_t deadline);

/* After a failed try: 0, and there is a fresh session for the next one; or -ENOTCONN,
 * and client_error() of the lock's says why not. */
int sessions_renew(struct sessions *sessions, uint64_t deadline);

/* KILLs the lock's session, waiting for the server's answer for a moment, and closes it. */
void sessions_kill_lock(struct sessions *sessions, uint64_t deadline);
/* Closes the lock's session; KILLs it before if it is amid a statement, since MySQL does not
 * notice that the client of a waiting statement has gone. */
void sessions_drop_lock(struct sessions *sessions, uint64_t deadline);
/* Once the lock is held, nobody needs the spare one but those who wait to connect. */
void sessions_drop_spare(struct sessions *sessions);
/* All but the lock's */
void sessions_drop_rest(struct sessions *sessions);

#endif
