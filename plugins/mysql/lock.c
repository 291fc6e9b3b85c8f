/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "blockers.h"
#include "deadline.h"
#include "guard.h"
#include "lock.h"

/* Kept of the freeze deadline: for KILL, and to find out what was in the way. */
#define RESERVE_MS 300u
/* Kept as well, where there is so much, for MariaDB to write out its log by itself */
#define REDO_MS 1200u
/* Kept for the way back, of every wait that may end by the deadline */
#define ANSWER_MS 50u
/* With less left no try is begun. */
#define TRY_LEAST_MS 50u
/* At least between two tries: those who have waited go first. */
#define PAUSE_MS 100u
/* The server's limit of idleness comes so much after the hold deadline: whoever is
 * alive ends the hold earlier, and with a reason. */
#define IDLE_SLACK_SECONDS 5u
#define IDLE_MAX_SECONDS 86400u

static const char reason_fallback[] =
    "BACKUP STAGE START was not granted: another backup or LOCK TABLES is in its way";

/*
 * Limits that hold even if we do not live to keep them ourselves: lock_wait_timeout ends
 * the wait for the lock, behind what method.c sets to the millisecond on MariaDB;
 * wait_timeout ends the hold. The latter is the least that outlasts the hold deadline,
 * so that a server whose own wait_timeout is a few seconds does not drop the lock
 * early, and a session that nobody answers for any more does not keep it.
 */
static int lock_set_limits(const struct lock *lock, uint32_t wait_ms, uint64_t until,
                           uint64_t hold_deadline)
{
    uint32_t idle = (lock->host->left_ms(lock->host, hold_deadline) + 999u) / 1000u;
    uint32_t wait = (wait_ms + 999u) / 1000u;
    char sql[160];

    if (lock->server->flavour == SERVER_MARIADB) {
        wait++; /* stands behind the finer limit */
    }
    idle = idle > IDLE_MAX_SECONDS ? IDLE_MAX_SECONDS : idle + IDLE_SLACK_SECONDS;
    (void)snprintf(sql, sizeof(sql), "SET SESSION wait_timeout = %u, lock_wait_timeout = %u", idle,
                   wait);
    return client_query(lock->sessions->lock, sql, CLIENT_CANCELLABLE, until, NULL);
}

/*
 * BACKUP STAGE waits neither for readers nor for InnoDB's writes, and which engine a
 * statement writes to is not told. So it is not kept from a try: it would often be for
 * nothing. What is to be done about long statements is done once a try has failed.
 */
static int lock_look_first(const struct lock *lock, uint64_t until)
{
    const struct guard guard = {
        .host = lock->host,
        .server = lock->server,
        .policy = lock->policy,
        .statement = method_statement(lock->method),
        .grant = lock->grant,
        .tries = lock->tries,
        .longest_ms = lock->longest_ms,
    };

    if (lock->method == METHOD_BACKUP_STAGE &&
        (lock->tries == 0 || lock->policy->blockers == POLICY_WAIT)) {
        return 0;
    }
    return guard_pass(&guard, lock->sessions->control, until);
}

static int lock_try(struct lock *lock, uint32_t wait_ms, uint64_t until, uint64_t hold_deadline,
                    uint32_t *ret_stalled_ms)
{
    int r = lock_set_limits(lock, wait_ms, until, hold_deadline);

    *ret_stalled_ms = 0;
    if (r < 0) {
        return r;
    }
    return method_take(lock->method, lock->host, lock->sessions->lock, lock->server, wait_ms, until,
                       ret_stalled_ms);
}

/* Nothing is held, and the session is as good as before. */
static void lock_fall_back(struct lock *lock)
{
    lock->method = METHOD_FTWRL;
    lock->reason = reason_fallback;
    lock->host->log(lock->host, QUIESCED_WARNING, "%s: FLUSH TABLES WITH READ LOCK instead",
                    reason_fallback);
}

static bool lock_was_late(const struct lock *lock, int r)
{
    unsigned int code = client_code(lock->sessions->lock);

    return r == -ETIMEDOUT || (r == -EREMOTEIO && (code == CLIENT_E_LOCK_WAIT_TIMEOUT ||
                                                   code == CLIENT_E_STATEMENT_TIMEOUT ||
                                                   code == CLIENT_E_INTERRUPTED));
}

/* Nobody waits for us any more: what is it that was in the way? */
static int lock_explain_late(struct lock *lock, uint64_t deadline, uint32_t stalled_ms,
                             const char *why)
{
    const struct quiesced_host *host = lock->host;
    struct policy policy = *lock->policy;
    struct client *control = lock->sessions->control;
    struct blockers blockers;
    char text[1400] = "";
    const char *before = "";
    const char *after = "";

    /* It was there before the try, long or not. Half: its age is not that exact. */
    if (policy.long_query_ms > stalled_ms / 2) {
        policy.long_query_ms = stalled_ms / 2;
    }
    if (client_is_open(control) && !client_is_busy(control) &&
        blockers_find(control, lock->server, &policy, CLIENT_CANCELLABLE,
                      deadline_before(deadline, ANSWER_MS), &blockers) > 0) {
        before = "; in its way may be ";
        blockers_describe(&blockers, text, sizeof(text));
        if (lock->server->flavour == SERVER_MYSQL) {
            after = ", whose tables stay blocked until it ends";
        }
    } else if (!lock->sees_all) {
        before = "; PROCESS would show what is in its way: ";
        (void)snprintf(text, sizeof(text), "%s", lock->grant);
    }
    host->error(host,
                "%s was not granted in %u %s, and stalled writers for up to %u ms each time: "
                "%s%s%s%s",
                method_statement(lock->method), lock->tries, lock->tries == 1 ? "try" : "tries",
                lock->longest_ms, why, before, text, after);
    return -ETIMEDOUT;
}

/* @r is what the statement came to, when it was not granted for another reason than time. */
static int lock_explain(const struct lock *lock, int r, unsigned int code, const char *why)
{
    const struct quiesced_host *host = lock->host;
    const char *statement = method_statement(lock->method);

    if (r == -ECANCELED) {
        return r;
    }
    if (code == CLIENT_E_PRIVILEGE) {
        host->error(host, "%s was refused: %s; grant it: %s", statement, why, lock->grant);
        return -EACCES;
    }
    host->error(host, "%s failed: %s", statement, why);
    return r;
}

/* Frees everybody, in any case. 0: another try may be made, on a fresh session. */
static int lock_give_up(struct lock *lock, uint64_t until, uint64_t deadline, int r,
                        uint32_t stalled_ms)
{
    const struct quiesced_host *host = lock->host;
    struct pollfd cancel = { .fd = host->cancel_fd(host), .events = POLLIN };
    struct client *session = lock->sessions->lock;
    uint32_t begin = host->left_ms(host, deadline);
    bool late = lock_was_late(lock, r);
    unsigned int code = client_code(session);
    uint32_t pause_ms;
    char why[512];

    (void)snprintf(why, sizeof(why), "%s", client_error(session));
    sessions_kill_lock(lock->sessions, deadline);
    stalled_ms += begin - host->left_ms(host, deadline);
    if (stalled_ms > lock->longest_ms) {
        lock->longest_ms = stalled_ms;
    }
    if (!late) {
        return lock_explain(lock, r, code, why);
    }
    /* Not half of the time for us */
    pause_ms = stalled_ms > PAUSE_MS ? stalled_ms : PAUSE_MS;
    if (host->left_ms(host, until) < TRY_LEAST_MS + pause_ms ||
        sessions_renew(lock->sessions, until) < 0) {
        return lock_explain_late(lock, deadline, stalled_ms, why);
    }
    return poll(&cancel, 1, (int)pause_ms) > 0 ? -ECANCELED : 0;
}

/* Up to when the last try may last */
static uint64_t lock_until(const struct lock *lock, uint64_t deadline)
{
    bool awaits_redo = lock->server->flavour == SERVER_MARIADB && lock->server->redo_is_lazy;
    uint64_t until = deadline_before(deadline, RESERVE_MS);

    if (awaits_redo && lock->host->left_ms(lock->host, until) > 2 * REDO_MS) {
        until = deadline_before(until, REDO_MS);
    }
    return until;
}

int lock_take(struct lock *lock, uint64_t deadline, uint64_t hold_deadline)
{
    const struct quiesced_host *host = lock->host;
    const uint32_t attempt_ms = lock->policy->lock_attempt_ms;
    uint64_t until = lock_until(lock, deadline);

    for (;;) {
        uint32_t stalled_ms = 0;
        uint32_t left;
        int r = lock_look_first(lock, until);

        if (r < 0) {
            sessions_drop_lock(lock->sessions, deadline);
            return r;
        }
        left = host->left_ms(host, until);
        r = lock_try(lock, left < attempt_ms ? left : attempt_ms, until, hold_deadline,
                     &stalled_ms);
        if (r == -EALREADY) {
            lock_fall_back(lock);
            continue;
        }
        lock->tries++;
        if (r == 0) {
            host->log(host, QUIESCED_DEBUG, "the lock was granted");
            lock->wait_ms = stalled_ms;
            lock->longest_ms = stalled_ms > lock->longest_ms ? stalled_ms : lock->longest_ms;
            sessions_drop_spare(lock->sessions);
            return 0;
        }
        r = lock_give_up(lock, until, deadline, r, stalled_ms);
        if (r < 0) {
            return r;
        }
    }
}

static void report_number(const struct quiesced_host *host, const char *key, uint32_t number)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%u", number);
    host->coordinate(host, key, text);
}

void lock_report(const struct lock *lock)
{
    const struct quiesced_host *host = lock->host;

    host->method(host, method_name(lock->method));
    host->coordinate(host, "method-reason", lock->reason);
    report_number(host, "lock-tries", lock->tries);
    report_number(host, "lock-wait-ms", lock->wait_ms);
    report_number(host, "longest-stall-ms", lock->longest_ms);
}

void lock_release(struct lock *lock, uint64_t deadline)
{
    struct client *session = lock->sessions->lock;

    if (client_is_open(session) && !client_is_busy(session) &&
        method_release(lock->method, session, deadline) == 0) {
        lock->host->log(lock->host, QUIESCED_DEBUG, "the lock was released");
    }
    sessions_drop_lock(lock->sessions, deadline);
}
