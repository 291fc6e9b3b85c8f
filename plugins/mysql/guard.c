/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>

#include "blockers.h"
#include "guard.h"

/* Between two looks */
#define LOOK_MS 50
/* With less left, another look would be late, and the reason would be lost. */
#define LEAST_MS 100u

/* By its own number where the server has one: the session may be at the next statement. */
static int kill_one(const struct guard *guard, struct client *control,
                    const struct blocker *blocker, uint64_t until)
{
    const struct quiesced_host *host = guard->host;
    char text[1400];
    char sql[64];
    int r;

    if (blocker->query_id[0] != '\0') {
        (void)snprintf(sql, sizeof(sql), "KILL QUERY ID %s", blocker->query_id);
    } else {
        (void)snprintf(sql, sizeof(sql), "KILL QUERY %s", blocker->id);
    }
    r = client_query(control, sql, CLIENT_CANCELLABLE, until, NULL);
    blocker_describe(blocker, text, sizeof(text));
    if (r == 0) {
        host->log(host, QUIESCED_WARNING, "killed %s", text);
        return 0;
    }
    if (r == -EREMOTEIO && (client_code(control) == CLIENT_E_NO_SUCH_THREAD ||
                            client_code(control) == CLIENT_E_NO_SUCH_QUERY)) {
        return 0; /* it has ended by itself */
    }
    if (r == -EREMOTEIO && (client_code(control) == CLIENT_E_KILL_DENIED ||
                            client_code(control) == CLIENT_E_PRIVILEGE)) {
        host->error(
            host, "cannot kill %s: %s; %s it: %s", text, client_error(control),
            guard->server->flavour == SERVER_MYSQL
                ? "who has SYSTEM_USER, as root, is killed by its like alone; for others grant"
                : "grant",
            guard->grant);
        return -EACCES;
    }
    if (r != -ECANCELED) {
        host->error(host, "cannot kill %s: %s", text, client_error(control));
    }
    return r;
}

static int kill_all(const struct guard *guard, struct client *control,
                    const struct blockers *blockers, uint64_t until)
{
    int r = 0;

    for (size_t i = 0; i < blockers->n && r == 0; i++) {
        r = kill_one(guard, control, &blockers->list[i], until);
    }
    return r;
}

static int refuse(const struct guard *guard, const struct blockers *blockers)
{
    const struct quiesced_host *host = guard->host;
    bool keeps_tables = guard->server->flavour == SERVER_MYSQL;
    char text[1400];

    blockers_describe(blockers, text, sizeof(text));
    if (guard->tries == 0) {
        host->error(
            host, "%s was not tried: it would wait for %s%s", guard->statement, text,
            keeps_tables ? ", and giving up then would leave that statement's tables blocked" : "");
    } else {
        host->error(host,
                    "%s was not granted in %u %s, which stalled writers for up to %u ms, and not "
                    "tried again: it would wait for %s%s",
                    guard->statement, guard->tries, guard->tries == 1 ? "try" : "tries",
                    guard->longest_ms, text,
                    keeps_tables ? ", whose tables stay blocked until it ends" : "");
    }
    return -EBUSY;
}

/* 0, or -ECANCELED */
static int pause_for(const struct quiesced_host *host, int ms)
{
    struct pollfd cancel = { .fd = host->cancel_fd(host), .events = POLLIN };

    return poll(&cancel, 1, ms) > 0 ? -ECANCELED : 0;
}

int guard_pass(const struct guard *guard, struct client *control, uint64_t until)
{
    const struct quiesced_host *host = guard->host;
    bool killed = false;

    for (;;) {
        struct blockers blockers;
        int r = blockers_find(control, guard->server, guard->policy, CLIENT_CANCELLABLE, until,
                              &blockers);

        if (r < 0 && r != -ECANCELED) {
            host->error(host, "cannot look for long statements before %s: %s", guard->statement,
                        client_error(control));
        }
        if (r <= 0) {
            return r;
        }
        if (guard->policy->blockers == POLICY_FAIL || host->left_ms(host, until) < LEAST_MS) {
            return refuse(guard, &blockers);
        }
        if (guard->policy->blockers == POLICY_KILL && !killed) {
            r = kill_all(guard, control, &blockers, until);
            killed = true;
        }
        if (r >= 0) {
            r = pause_for(host, LOOK_MS);
        }
        if (r < 0) {
            return r;
        }
    }
}
