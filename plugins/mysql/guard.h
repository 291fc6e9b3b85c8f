/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard.h: does not let a lock run into a long statement
 *
 * What waits for such a statement stalls every writer meanwhile, and on MySQL the
 * statement's tables stay closed to everybody, after it was given up, until the
 * statement ends; no KILL of ours opens them. So it looks first, and waits for the
 * statements to end, fails, or ends them, as configured.
 */
#ifndef MYSQL_GUARD_H
#define MYSQL_GUARD_H

#include <stdint.h>

#include "client.h"
#include "policy.h"
#include "quiesced-plugin.h"
#include "server.h"

struct guard {
    const struct quiesced_host *host;
    const struct server *server;
    const struct policy *policy;
    const char *statement; /* what is to be taken, for messages */
    const char *grant;     /* all that our account needs, as one statement */
    unsigned int tries;    /* of the lock, before */
    uint32_t longest_ms;   /* that others may have waited during one of them */
};

/* 0 when no long statement is in the way; -EBUSY when one still is at @until, told to the
 * host; otherwise as client_query(), told to the host unless it is -ECANCELED. */
int guard_pass(const struct guard *guard, struct client *control, uint64_t until);

#endif
