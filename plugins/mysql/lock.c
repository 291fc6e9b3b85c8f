/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "blockers.h"
#include "deadline.h"
#include "lock.h"
#include "rights.h"

#define STATEMENT "FLUSH TABLES WITH READ LOCK"

/* Kept of the freeze deadline: for KILL, and to find out what was in the way. */
#define RESERVE_MS 300u
/* The server's own limit comes so much earlier than ours, since it knows the reason,
 * and since nothing stays in its queue then whatever becomes of us. */
#define SERVER_FIRST_MS 200u
#define SERVER_LEAST_MS 50u
/* Kept for the way back, of every wait that may end by the deadline */
#define ANSWER_MS 50u
/* How long an answer to KILL is worth waiting for */
#define KILL_MS 150u
/* The server's limit of idleness comes so much after the hold deadline: whoever is
 * alive ends the hold earlier, and with a reason. */
#define IDLE_SLACK_SECONDS 5u
#define IDLE_MAX_SECONDS 86400u

/* Writes nothing about the statement to the binary log: LOCAL. */
#define SQL_LOCK "FLUSH LOCAL TABLES WITH READ LOCK"

static void lock_kill(struct lock *lock, uint64_t deadline)
{
    char sql[64];

    if (!client_is_open(lock->control) || lock->id[0] == '\0') {
        return;
    }
    (void)snprintf(sql, sizeof(sql), "KILL %s", lock->id);
    /* If it fails, closing the socket is all that is left. */
    (void)client_query(lock->control, sql, CLIENT_FIRM, deadline_within(deadline, KILL_MS), NULL);
}

void lock_drop(struct lock *lock, uint64_t deadline)
{
    /* MySQL does not notice that the client of a waiting statement has gone. */
    if (client_is_busy(lock->session)) {
        lock_kill(lock, deadline);
    }
    if (lock->session != NULL) {
        client_close(lock->session);
    }
}

/* What remains when the lock was refused: MySQL keeps the global lock after the error
 * of a statement that asked for more, so KILL in any case. */
static void lock_drop_failed(struct lock *lock, uint64_t deadline)
{
    lock_kill(lock, deadline);
    client_close(lock->session);
}

/*
 * MySQL's statement also waits until every statement that runs has closed its
 * tables, readers' too. When it gives up, the table under the oldest of them stays
 * closed to everybody until that one ends, and no KILL of ours opens it. So do not
 * begin what may have to be given up.
 */
static int lock_look_first(struct lock *lock, const struct server *server, uint64_t deadline)
{
    const struct quiesced_host *host = lock->host;
    struct blocker blocker;
    char text[256];
    int r;

    if (server->flavour != SERVER_MYSQL) {
        return 0;
    }
    r = blockers_find(lock->control, server, CLIENT_CANCELLABLE, deadline, &blocker);
    if (r < 0) {
        if (r != -ECANCELED) {
            host->error(host, "cannot look for long statements before " STATEMENT ": %s",
                        client_error(lock->control));
        }
        return r;
    }
    if (r > 0) {
        blockers_describe(&blocker, text, sizeof(text));
        host->error(host,
                    STATEMENT " was not tried: it would wait for %s, and giving up "
                              "then would leave that statement's tables blocked",
                    text);
        return -EBUSY;
    }
    return 0;
}

/*
 * Three limits that hold even if we do not live to keep them ourselves:
 * lock_wait_timeout and, on MariaDB, max_statement_time end the wait for the lock;
 * wait_timeout ends the hold. The last is the least that outlasts the hold deadline,
 * so that a server whose own wait_timeout is a few seconds does not drop the lock
 * early, and a session that nobody answers for any more does not keep it.
 */
static int lock_set_limits(struct lock *lock, const struct server *server, uint32_t wait_ms,
                           uint64_t hold_deadline)
{
    const struct quiesced_host *host = lock->host;
    uint32_t idle = (host->left_ms(host, hold_deadline) + 999u) / 1000u;
    uint32_t wait = wait_ms / 1000u;
    char sql[160];

    /* Whole seconds: MariaDB has the finer limit, and this one stands behind it. */
    if (wait < 1 || server->flavour == SERVER_MARIADB) {
        wait++;
    }
    idle = idle > IDLE_MAX_SECONDS ? IDLE_MAX_SECONDS : idle + IDLE_SLACK_SECONDS;
    (void)snprintf(sql, sizeof(sql), "SET SESSION wait_timeout = %u, lock_wait_timeout = %u", idle,
                   wait);
    return client_query(lock->session, sql, CLIENT_CANCELLABLE,
                        deadline_within(hold_deadline, wait_ms), NULL);
}

static int lock_ask(struct lock *lock, const struct server *server, uint32_t wait_ms,
                    uint64_t until)
{
    char sql[160];

    if (server->flavour == SERVER_MARIADB && server->version >= SERVER_VERSION(10u, 1u, 2u)) {
        /* For this statement alone: it must not bite later ones. */
        (void)snprintf(sql, sizeof(sql), "SET STATEMENT max_statement_time = %u.%03u FOR " SQL_LOCK,
                       wait_ms / 1000u, wait_ms % 1000u);
    } else {
        (void)snprintf(sql, sizeof(sql), SQL_LOCK);
    }
    return client_query(lock->session, sql, CLIENT_CANCELLABLE, until, NULL);
}

static bool lock_was_late(const struct lock *lock, int r)
{
    unsigned int code = client_code(lock->session);

    return r == -ETIMEDOUT || (r == -EREMOTEIO && (code == CLIENT_E_LOCK_WAIT_TIMEOUT ||
                                                   code == CLIENT_E_STATEMENT_TIMEOUT ||
                                                   code == CLIENT_E_INTERRUPTED));
}

static int lock_explain_late(struct lock *lock, const struct server *server, uint32_t wait_ms,
                             uint64_t deadline, const char *why)
{
    const struct quiesced_host *host = lock->host;
    struct blocker blocker;
    char text[512];

    if (client_is_open(lock->control) && !client_is_busy(lock->control) &&
        blockers_find(lock->control, server, CLIENT_CANCELLABLE,
                      deadline_before(deadline, ANSWER_MS), &blocker) > 0) {
        blockers_describe(&blocker, text, sizeof(text));
        host->error(host, STATEMENT " was not granted within %u ms: %s; in its way may be %s",
                    wait_ms, why, text);
    } else if (!lock->sees_all) {
        rights_statement(server, text, sizeof(text));
        host->error(host,
                    STATEMENT " was not granted within %u ms: %s; PROCESS would "
                              "show what is in its way: %s",
                    wait_ms, why, text);
    } else {
        host->error(host, STATEMENT " was not granted within %u ms: %s", wait_ms, why);
    }
    return -ETIMEDOUT;
}

/* @r is what the statement came to. Frees everybody first, then talks. */
static int lock_give_up(struct lock *lock, const struct server *server, uint32_t wait_ms,
                        uint64_t deadline, int r)
{
    const struct quiesced_host *host = lock->host;
    bool late = lock_was_late(lock, r);
    unsigned int code = client_code(lock->session);
    char why[512];
    char grant[512];

    (void)snprintf(why, sizeof(why), "%s", client_error(lock->session));
    lock_drop_failed(lock, deadline);
    if (r == -ECANCELED) {
        return r;
    }
    if (late) {
        return lock_explain_late(lock, server, wait_ms, deadline, why);
    }
    if (code == CLIENT_E_PRIVILEGE) {
        rights_statement(server, grant, sizeof(grant));
        host->error(host, STATEMENT " was refused: %s; grant it: %s", why, grant);
        return -EACCES;
    }
    host->error(host, STATEMENT " failed: %s", why);
    return r;
}

/* How long the server may let the statement wait, when @left is ours */
static uint32_t lock_wait_ms(const struct server *server, uint32_t left)
{
    uint32_t ms =
        left > SERVER_FIRST_MS + SERVER_LEAST_MS ? left - SERVER_FIRST_MS : SERVER_LEAST_MS;

    /* MySQL has only lock_wait_timeout, in whole seconds from 1 on. */
    return server->flavour == SERVER_MYSQL && ms > 1000u ? ms - ms % 1000u : ms;
}

int lock_take(struct lock *lock, const struct server *server, uint64_t deadline,
              uint64_t hold_deadline)
{
    const struct quiesced_host *host = lock->host;
    uint64_t until = deadline_before(deadline, RESERVE_MS);
    uint32_t wait_ms;
    int r;

    r = lock_look_first(lock, server, until);
    if (r < 0) {
        client_close(lock->session);
        return r;
    }
    wait_ms = lock_wait_ms(server, host->left_ms(host, until));
    r = lock_set_limits(lock, server, wait_ms, hold_deadline);
    if (r == 0) {
        r = lock_ask(lock, server, wait_ms, until);
    }
    return r < 0 ? lock_give_up(lock, server, wait_ms, deadline, r) : 0;
}
