/* SPDX-License-Identifier: GPL-2.0-or-later */
/* blockers.h: other people's statements that the lock has to wait for */
#ifndef MYSQL_BLOCKERS_H
#define MYSQL_BLOCKERS_H

#include <stddef.h>
#include <stdint.h>

#include "client.h"
#include "server.h"

/* The statement itself is not kept: it may hold anybody's secrets. */
struct blocker {
    char id[24];
    char user[80];
    unsigned long seconds;
    char state[80];
};

/*
 * The oldest statement that the lock may have to wait for, and that is older
 * than one second: 1 and *ret_blocker, or 0. Without PROCESS the server shows only
 * our own account's sessions. Otherwise as client_query().
 */
int blockers_find(struct client *client, const struct server *server, enum client_wait wait,
                  uint64_t deadline, struct blocker *ret_blocker);

/* "statement 7 of 'app', running for 12 s in state 'updating'" */
void blockers_describe(const struct blocker *blocker, char *ret, size_t size);

#endif
