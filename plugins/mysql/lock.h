/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lock.h: the lock, asked for in short tries, and taken back whole
 *
 * Whoever waits for it stalls writers, so each try is short; before each the guard
 * looks, and after a failed one its session is killed and closed, since MySQL keeps
 * what a failed statement had got of the lock. All tries together end by the deadline.
 */
#ifndef MYSQL_LOCK_H
#define MYSQL_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "method.h"
#include "policy.h"
#include "quiesced-plugin.h"
#include "server.h"
#include "sessions.h"

struct lock {
    const struct quiesced_host *host;
    const struct policy *policy;
    const struct server *server;
    struct sessions *sessions;
    enum method method; /* the one that holds, or was tried last */
    const char *reason; /* why this one */
    bool sees_all;      /* the control session sees everybody's statements */
    char grant[512];    /* all that our account needs, as one statement */
    unsigned int tries;
    uint32_t wait_ms;    /* of the try that succeeded */
    uint32_t longest_ms; /* that others may have waited during one try, whatever came of it */
};

/*
 * 0: the lock is held. Otherwise nothing is held or waited for any more, the session is
 * closed, and the host was told why, unless it is -ECANCELED. Afterwards the server
 * ends the session by itself some seconds after @hold_deadline.
 */
int lock_take(struct lock *lock, uint64_t deadline, uint64_t hold_deadline);

/* For the record: the method, why this one, and for how long it was waited for. */
void lock_report(const struct lock *lock);

/* Gives back the lock, then closes its session, whatever the server answers. */
void lock_release(struct lock *lock, uint64_t deadline);

#endif
