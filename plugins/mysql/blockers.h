/* SPDX-License-Identifier: GPL-2.0-or-later */
/* blockers.h: other people's long statements that the lock has to wait for */
#ifndef MYSQL_BLOCKERS_H
#define MYSQL_BLOCKERS_H

#include <stddef.h>
#include <stdint.h>

#include "client.h"
#include "policy.h"
#include "server.h"

#define BLOCKERS_MAX 16

struct blocker {
    char id[24];
    char query_id[24]; /* of the statement, MariaDB's; or "" */
    char user[80];
    uint64_t age_ms;
    char age[24]; /* as exact as the server tells it, with the unit */
    char state[80];
    char text[1004]; /* its first characters, as many as may be shown */
};

struct blockers {
    struct blocker list[BLOCKERS_MAX]; /* the oldest is the first */
    size_t n;
    size_t more; /* so many that have no room there */
};

/*
 * Statements that the lock may have to wait for, and that are older than @policy's
 * long-query. How many, or as client_query(). Without PROCESS the server shows only our own
 * account's sessions. MySQL counts whole seconds: one is seen up to a second late.
 */
int blockers_find(struct client *client, const struct server *server, const struct policy *policy,
                  enum client_wait wait, uint64_t deadline, struct blockers *ret);

/* "statement 7 of user 'app', running for 12 s in state 'updating' (and 2 more)" */
void blockers_describe(const struct blockers *blockers, char *ret, size_t size);
void blocker_describe(const struct blocker *blocker, char *ret, size_t size);

#endif
