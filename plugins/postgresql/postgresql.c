/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * postgresql.c: holds PostgreSQL with a witness
 *
 * PostgreSQL recovers by itself from a copy of all its files at one instant, so nobody
 * is kept from writing. What the hold is good for: the copy has little to replay, its
 * position is known, and the session that was there before is there afterwards. So no
 * restart, crash or promotion came in between unnoticed.
 *
 *     create ... ready    options                              target.c file.c service.c
 *     prepare             connect, who is it, where are its    server.c layout.c
 *                         files, a checkpoint                  checkpoint.c
 *     freeze              the server's limits, coordinates     coordinates.c
 *     check, thaw         coordinates again, compared
 *
 * The library is a guest of client.c alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "client.h"
#include "coordinates.h"
#include "deadline.h"
#include "layout.h"
#include "quiesced-plugin.h"
#include "server.h"
#include "target.h"

#ifndef QUIESCED_VERSION
#define QUIESCED_VERSION "unreleased"
#endif

#define METHOD "witness"

/* Kept of a deadline, for the reply */
#define ANSWER_MS 50u
/* The server ends an idle session so much after the hold deadline: whoever is alive ends
 * the hold earlier, and with a reason. */
#define IDLE_SLACK_MS 5000u
/* No limit from prepare to freeze: everybody's scripts run in between. */
#define IDLE_PREPARED_MS 0u

struct quiescer {
    const struct quiesced_host *host;
    struct target target;
    struct checkpoint checkpoint;
    struct client *witness;
    struct server server;
    struct coordinates before; /* as freeze() saw them */
    uint64_t idle_ms;          /* the server's limit for the hold */
};

static const struct quiesced_option quiescer_options[] = {
    { .key = "conninfo",
      .help = "The connection, as libpq's keywords and values or as a URI (host=" //
      POSTGRESQL_SOCKET_DEFAULT ")." },
    { .key = "password", .help = "The role's password.", .flags = QUIESCED_OPTION_SECRET },
    { .key = "password-file", .help = "A file with the role's password alone." },
    { .key = "service-file", .help = "The file with the service that conninfo names." },
    { .key = "remote", .help = "May the host be another machine? yes or no.", .initial = "no" },
    { .key = "checkpoint",
      .help = "A CHECKPOINT before the hold: required, try or no.",
      .initial = "try" },
    { .key = NULL },
};

static int quiescer_create(const struct quiesced_host *host, void **ret_self)
{
    struct quiescer *self = calloc(1, sizeof(*self));
    int r = self != NULL ? client_create(host, &self->witness) : -ENOMEM;

    if (r < 0) {
        free(self);
        host->error(host, "%s", strerror(-r));
        return r;
    }
    self->host = host;
    *ret_self = self;
    return 0;
}

static void quiescer_destroy(void *instance)
{
    struct quiescer *self = instance;

    (void)client_free(self->witness);
    target_clear(&self->target);
    free(self);
}

static int quiescer_option(void *instance, const char *key, const char *value)
{
    struct quiescer *self = instance;
    int r;

    if (strcmp(key, "checkpoint") == 0) {
        r = checkpoint_parse(value, &self->checkpoint.policy);
        if (r < 0) {
            self->host->error(self->host, "checkpoint = '%s' is none of required, try and no",
                              value);
        }
        return r;
    }
    r = target_set(&self->target, self->host, key, value);
    if (r == -ENOMEM) {
        self->host->error(self->host, "%s", strerror(ENOMEM));
    }
    return r;
}

static int quiescer_ready(void *instance)
{
    struct quiescer *self = instance;

    return target_complete(&self->target, self->host);
}

/*
 * Nobody listens there: the socket is missing, or the connection is refused. libpq asks
 * back then, and gives the system's own words. A name such as localhost may have several
 * addresses: then the last one counts, and a server that answered at any of them runs, be it
 * that it starts up or shuts down.
 */
static bool says_not_running(const char *error)
{
    size_t n = strlen(error);

    return n > 0 && error[n - 1] == '?' && strstr(error, "FATAL:") == NULL &&
           strstr(error, "Is the server running") != NULL &&
           (strstr(error, strerror(ENOENT)) != NULL ||
            strstr(error, strerror(ECONNREFUSED)) != NULL);
}

static int connect_witness(struct quiescer *self, uint64_t deadline)
{
    const struct quiesced_host *host = self->host;
    int r = client_connect(self->witness, self->target.params, deadline);
    const char *error = client_error(self->witness);
    const char *hint = "";

    if (r == 0 || r == -ECANCELED) {
        return r;
    }
    if (strstr(error, "authentication") != NULL || strstr(error, "pg_hba.conf") != NULL ||
        strstr(error, "no password supplied") != NULL ||
        (strstr(error, "role ") != NULL && strstr(error, "does not exist") != NULL)) {
        hint = "; see THE ROLE in quiesced-postgresql(5)";
    }
    host->error(host, "cannot connect to %s: %s%s", self->target.text, error, hint);
    return r == -EREMOTEIO && says_not_running(error) ? QUIESCED_NOT_RUNNING : r;
}

static int prepare_session(struct quiescer *self, uint64_t deadline, const char **ret_why)
{
    int r = server_limit(self->witness, self->host, deadline, IDLE_PREPARED_MS);

    if (r == 0) {
        r = server_identify(self->witness, deadline, &self->server, ret_why);
    }
    if (r == 0) {
        self->host->server(self->host, self->server.name);
        server_warn(&self->server, self->host);
        if (self->target.is_here) {
            r = layout_warn(self->witness, self->host, &self->server, deadline);
        }
    }
    return r;
}

static int quiescer_prepare(void *instance, uint64_t deadline)
{
    struct quiescer *self = instance;
    const struct quiesced_host *host = self->host;
    const char *why = NULL;
    int r = connect_witness(self, deadline_before(deadline, ANSWER_MS));

    if (r != 0) {
        return r;
    }
    r = prepare_session(self, deadline_before(deadline, ANSWER_MS), &why);
    if (r == -ECANCELED) {
        return r;
    }
    if (r < 0) {
        why = why != NULL    ? why
              : r == -EPROTO ? "the answer is not understood"
                             : client_error(self->witness);
        host->error(host, "cannot prepare the session with %s: %s", self->target.text, why);
        return r;
    }
    return checkpoint_take(&self->checkpoint, self->witness, host, &self->server, deadline);
}

/* The limit for one more step, and where the server stands; why not, is told to @ret_why */
static int read_coordinates(struct quiescer *self, uint64_t deadline, struct coordinates *ret,
                            char *ret_why, size_t size)
{
    int r = server_limit(self->witness, self->host, deadline, self->idle_ms);

    if (r == 0) {
        r = coordinates_read(self->witness, deadline, ret);
    }
    if (r < 0) {
        (void)snprintf(ret_why, size, "%s",
                       r == -EPROTO ? "the answer is not understood" : client_error(self->witness));
    }
    return r;
}

static int quiescer_freeze(void *instance, uint64_t deadline, uint64_t hold_deadline)
{
    struct quiescer *self = instance;
    const struct quiesced_host *host = self->host;
    uint64_t until = deadline_before(deadline, ANSWER_MS);
    char why[640] = "";
    int r;

    self->idle_ms = (uint64_t)host->left_ms(host, hold_deadline) + IDLE_SLACK_MS;
    r = read_coordinates(self, until, &self->before, why, sizeof(why));
    if (r == 0) {
        r = checkpoint_again(&self->checkpoint, self->witness, host, &self->before, until);
        if (r < 0) {
            return r;
        }
    }
    if (r > 0) {
        r = read_coordinates(self, until, &self->before, why, sizeof(why));
    }
    if (r < 0) {
        if (r != -ECANCELED) {
            host->error(host, "cannot read the coordinates: %s", why);
        }
        return r;
    }
    host->method(host, METHOD);
    coordinates_report(&self->before, host);
    if (self->server.data_directory[0] != '\0') {
        host->coordinate(host, "data-directory", self->server.data_directory);
    }
    return 0;
}

/* Reads the proof and, for a thaw, lets go before it looks at it. */
static int prove(struct quiescer *self, uint64_t deadline, void (*let_go)(struct quiescer *self))
{
    const struct quiesced_host *host = self->host;
    struct coordinates after;
    char why[640] = "";
    int r = read_coordinates(self, deadline_before(deadline, ANSWER_MS), &after, why, sizeof(why));

    if (let_go != NULL) {
        let_go(self);
    }
    if (r == 0 && !coordinates_match(&self->before, &after, why, sizeof(why))) {
        host->error(host, "the hold has not lasted: %s", why);
        return -ESTALE;
    }
    if (r < 0 && r != -ECANCELED) {
        host->error(
            host, "%s: %s",
            r == -ENOTCONN ? "the hold was lost" : "the hold cannot be shown to have lasted", why);
    }
    return r;
}

static int quiescer_check(void *instance, uint64_t deadline)
{
    struct quiescer *self = instance;

    return prove(self, deadline, NULL);
}

static void let_go(struct quiescer *self)
{
    client_close(self->witness);
}

static int quiescer_thaw(void *instance, uint64_t deadline)
{
    struct quiescer *self = instance;

    return prove(self, deadline, let_go);
}

static void quiescer_abort(void *instance)
{
    struct quiescer *self = instance;

    if (self->checkpoint.running) {
        client_cancel(self->witness);
    }
    client_close(self->witness);
}

static int quiescer_watch_fd(void *instance)
{
    const struct quiescer *self = instance;

    return client_fd(self->witness);
}

QUIESCED_PLUGIN(.name = "postgresql", .version = QUIESCED_VERSION,
                .summary = "Holds PostgreSQL with a checkpoint and a session as its witness.",
                .options = quiescer_options, .create = quiescer_create, .option = quiescer_option,
                .ready = quiescer_ready, .prepare = quiescer_prepare, .freeze = quiescer_freeze,
                .check = quiescer_check, .thaw = quiescer_thaw, .abort = quiescer_abort,
                .destroy = quiescer_destroy, .watch_fd = quiescer_watch_fd);
