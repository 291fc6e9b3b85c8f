/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mysql.c: holds MySQL and MariaDB with a lock, and proves that it lasted
 *
 *     create ... ready    options      options.c: address, login, tls, policy
 *     prepare             sessions.c, server.c; rights.c; method.c chooses
 *     freeze              lock.c: guard.c, method.c; redo.c; coordinates.c,
 *                         replica.c, log_status.c
 *     check, thaw         coordinates.c again, compared
 *
 * The library is a guest of client.c alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "coordinates.h"
#include "deadline.h"
#include "lock.h"
#include "log_status.h"
#include "options.h"
#include "quiesced-plugin.h"
#include "redo.h"
#include "replica.h"
#include "rights.h"
#include "server.h"
#include "sessions.h"

#ifndef QUIESCED_VERSION
#define QUIESCED_VERSION "unreleased"
#endif

/* Kept of a deadline: for the release after the proof was read, and for the close */
#define UNLOCK_MS 300u
#define CLOSE_MS 100u
/* How long abort() may wait for the server, when a KILL is due */
#define ABORT_MS 1000u

struct quiescer {
    const struct quiesced_host *host;
    struct options options;
    struct server server;
    struct sessions sessions;
    struct lock lock;
    struct coordinates before; /* under the hold, as freeze() saw them */
};

static void quiescer_destroy(void *instance)
{
    struct quiescer *self = instance;

    coordinates_clear(&self->before);
    sessions_clear(&self->sessions);
    options_clear(&self->options);
    free(self);
}

static int quiescer_create(const struct quiesced_host *host, void **ret_self)
{
    struct quiescer *self = calloc(1, sizeof(*self));
    int r;

    if (self == NULL) {
        host->error(host, "%s", strerror(ENOMEM));
        return -ENOMEM;
    }
    self->host = host;
    options_init(&self->options);
    self->lock = (struct lock){
        .host = host,
        .policy = &self->options.policy,
        .server = &self->server,
        .sessions = &self->sessions,
    };
    r = sessions_init(&self->sessions, host, &self->options, &self->server);
    if (r < 0) {
        quiescer_destroy(self);
        host->error(host, "%s", strerror(-r));
        return r;
    }
    *ret_self = self;
    return 0;
}

static int quiescer_option(void *instance, const char *key, const char *value)
{
    struct quiescer *self = instance;

    return options_set(&self->options, self->host, key, value);
}

static int quiescer_ready(void *instance)
{
    struct quiescer *self = instance;

    return options_complete(&self->options, self->host);
}

/* What the record would lack is a warning, with the privilege that it takes. */
static int probe_coordinates(struct quiescer *self, uint64_t deadline)
{
    const struct quiesced_host *host = self->host;
    struct client *control = self->sessions.control;
    int r = coordinates_probe_binlog(control, &self->server, deadline);

    if (r > 0) {
        host->log(host, QUIESCED_WARNING,
                  "user %s lacks the privilege %s, so the "
                  "binary log's position is not known: %s",
                  self->server.account, rights_binlog_name(&self->server), self->lock.grant);
    }
    if (r >= 0) {
        r = replica_probe(control, &self->server, deadline);
    }
    if (r > 0) {
        host->log(host, self->server.is_replica ? QUIESCED_WARNING : QUIESCED_DEBUG,
                  "user %s lacks the privilege %s, so a replica's executed position is not "
                  "known: %s",
                  self->server.account, rights_replica_name(&self->server), self->lock.grant);
    }
    return r < 0 ? r : 0;
}

static int look_at_server(struct quiescer *self, uint64_t deadline)
{
    struct rights rights;
    int r = method_choose(&self->options.policy, &self->server, self->host, &self->lock.method,
                          &self->lock.reason);

    if (r < 0) {
        return r;
    }
    rights_statement(&self->server, self->options.policy.blockers, self->lock.grant,
                     sizeof(self->lock.grant));
    r = rights_read(self->sessions.control, &self->server, deadline, &rights);
    if (r == 0) {
        self->lock.sees_all = rights.process || !rights.certain;
        r = rights_check(&rights, &self->server, &self->options.policy, self->lock.method,
                         self->host);
        if (r < 0) {
            return r;
        }
        r = probe_coordinates(self, deadline);
    }
    if (r < 0 && r != -ECANCELED) {
        self->host->error(self->host, "cannot prepare the session with %s: %s",
                          self->options.address.text, client_error(self->sessions.control));
    }
    return r;
}

static int quiescer_prepare(void *instance, uint64_t deadline)
{
    struct quiescer *self = instance;
    int r = sessions_open(&self->sessions, &self->server, deadline);

    return r == 0 ? look_at_server(self, deadline) : r;
}

static int read_under_hold(struct quiescer *self, uint64_t deadline)
{
    const struct quiesced_host *host = self->host;
    struct client *session = self->sessions.lock;
    int r = redo_flush(host, session, &self->server, self->options.policy.blockers, deadline);

    if (r < 0) {
        return r;
    }
    r = coordinates_read(session, &self->server, CLIENT_CANCELLABLE, deadline, &self->before);
    if (r == 0) {
        coordinates_report(&self->before, &self->server, host);
        r = replica_report(session, &self->server, host, deadline);
    }
    if (r == 0) {
        r = log_status_report(session, &self->server, host, deadline);
    }
    if (r < 0 && r != -ECANCELED) {
        host->error(host, "cannot read the coordinates under the lock: %s",
                    r == -EPROTO ? "the answer is not understood" : client_error(session));
    }
    return r;
}

static int quiescer_freeze(void *instance, uint64_t deadline, uint64_t hold_deadline)
{
    struct quiescer *self = instance;
    int r = lock_take(&self->lock, deadline, hold_deadline);

    if (r < 0) {
        return r;
    }
    lock_report(&self->lock);
    r = read_under_hold(self, deadline_before(deadline, UNLOCK_MS));
    if (r < 0) {
        sessions_drop_lock(&self->sessions, deadline);
    }
    return r;
}

/* Reads the proof; what is wrong with it is told to @ret_why. */
static int read_proof(struct quiescer *self, uint64_t deadline, struct coordinates *ret_after,
                      char *ret_why, size_t size)
{
    int r = coordinates_read(self->sessions.lock, &self->server, CLIENT_CANCELLABLE, deadline,
                             ret_after);

    if (r < 0) {
        (void)snprintf(
            ret_why, size, "%s: %s",
            r == -ENOTCONN ? "the hold was lost" : "the hold cannot be shown to have lasted",
            r == -EPROTO ? "the answer is not understood" : client_error(self->sessions.lock));
    }
    return r;
}

static int compare_proof(struct quiescer *self, const struct coordinates *after, char *ret_why,
                         size_t size)
{
    char why[480];

    if (coordinates_match(&self->before, after, why, sizeof(why))) {
        return 0;
    }
    (void)snprintf(ret_why, size, "the hold has not lasted: %s", why);
    return -ESTALE;
}

static int quiescer_report(struct quiescer *self, int r, const char *why)
{
    if (r < 0 && r != -ECANCELED) {
        self->host->error(self->host, "%s", why);
    }
    return r;
}

static int quiescer_check(void *instance, uint64_t deadline)
{
    struct quiescer *self = instance;
    struct coordinates after = { .uptime = 0 };
    char why[640] = "";
    int r = read_proof(self, deadline_before(deadline, CLOSE_MS), &after, why, sizeof(why));

    if (r == 0) {
        r = compare_proof(self, &after, why, sizeof(why));
    }
    coordinates_clear(&after);
    return quiescer_report(self, r, why);
}

/* A session that does not answer any more is closed, which lets go as well. */
static void let_go(struct quiescer *self, uint64_t deadline)
{
    lock_release(&self->lock, deadline_before(deadline, CLOSE_MS));
    sessions_drop_rest(&self->sessions);
}

static int quiescer_thaw(void *instance, uint64_t deadline)
{
    struct quiescer *self = instance;
    struct coordinates after = { .uptime = 0 };
    char why[640] = "";
    int r = read_proof(self, deadline_before(deadline, UNLOCK_MS), &after, why, sizeof(why));

    let_go(self, deadline);
    if (r == 0) {
        r = compare_proof(self, &after, why, sizeof(why));
    }
    coordinates_clear(&after);
    return quiescer_report(self, r, why);
}

static void quiescer_abort(void *instance)
{
    struct quiescer *self = instance;

    sessions_drop_lock(&self->sessions, deadline_now() + ABORT_MS * USEC_PER_MSEC);
    sessions_drop_rest(&self->sessions);
}

static int quiescer_watch_fd(void *instance)
{
    const struct quiescer *self = instance;

    return client_fd(self->sessions.lock);
}

QUIESCED_PLUGIN(.name = "mysql", .version = QUIESCED_VERSION,
                .summary = "Holds MySQL and MariaDB with a lock that stops writers.",
                .options = options_table, .create = quiescer_create, .option = quiescer_option,
                .ready = quiescer_ready, .prepare = quiescer_prepare, .freeze = quiescer_freeze,
                .check = quiescer_check, .thaw = quiescer_thaw, .abort = quiescer_abort,
                .destroy = quiescer_destroy, .watch_fd = quiescer_watch_fd);
