/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lock.h: FLUSH TABLES WITH READ LOCK, asked for with a bound and taken back whole */
#ifndef MYSQL_LOCK_H
#define MYSQL_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "client.h"
#include "quiesced-plugin.h"
#include "server.h"

struct lock {
    const struct quiesced_host *host;
    struct client *session; /* whose lock it is */
    struct client *control; /* for KILL, and to look around */
    char id[24];            /* CONNECTION_ID() of @session, "" before it is known */
    bool sees_all;          /* @control sees everybody's statements */
};

/*
 * 0: the lock is held. Otherwise nothing is held or waited for any more, @session is
 * closed, and @host was told why, unless it is -ECANCELED. Afterwards the server
 * ends @session by itself some seconds after @hold_deadline.
 */
int lock_take(struct lock *lock, const struct server *server, uint64_t deadline,
              uint64_t hold_deadline);

/* Takes back the lock, or the wish for it: KILL if @session is amid a statement, then
 * close. Waits for the server's answer to KILL at most, and not past @deadline. */
void lock_drop(struct lock *lock, uint64_t deadline);

#endif
