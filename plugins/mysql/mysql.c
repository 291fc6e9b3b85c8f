/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mysql.c: holds MySQL and MariaDB with FLUSH TABLES WITH READ LOCK
 *
 * Two sessions, both opened in prepare, since at max_connections a new one is
 * refused just when writers pile up behind the lock. The one takes the lock and
 * holds it by merely existing; the other can end the first one's wait.
 *
 *     create ... ready    options                              address.c
 *     prepare             connect, who is it, what may we do   server.c rights.c
 *     freeze              the lock, the redo log, coordinates  lock.c redo.c
 *     check, thaw         coordinates again, compared          coordinates.c
 *
 * The library is a guest of client.c alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "client.h"
#include "coordinates.h"
#include "deadline.h"
#include "lock.h"
#include "quiesced-plugin.h"
#include "redo.h"
#include "rights.h"
#include "server.h"

#ifndef QUIESCED_VERSION
#define QUIESCED_VERSION "unreleased"
#endif

#define METHOD "ftwrl"

/* Kept of a deadline: for UNLOCK TABLES after the proof was read, and for the close */
#define UNLOCK_MS 300u
#define CLOSE_MS 100u
/* How long abort() may wait for the server, when a KILL is due */
#define ABORT_MS 1000u

struct quiescer {
    const struct quiesced_host *host;
    struct address address;
    struct server server;
    struct lock lock;
    struct coordinates before; /* under the hold, as freeze() saw them */
};

static int quiescer_create(const struct quiesced_host *host, void **ret_self)
{
    struct quiescer *self = calloc(1, sizeof(*self));
    int r;

    if (self == NULL) {
        host->error(host, "%s", strerror(ENOMEM));
        return -ENOMEM;
    }
    self->host = host;
    self->lock.host = host;
    r = client_create(host, &self->lock.session);
    if (r == 0) {
        r = client_create(host, &self->lock.control);
    }
    if (r < 0) {
        (void)client_free(self->lock.session);
        free(self);
        host->error(host, "%s", strerror(-r));
        return r;
    }
    *ret_self = self;
    return 0;
}

static void quiescer_destroy(void *instance)
{
    struct quiescer *self = instance;

    coordinates_clear(&self->before);
    (void)client_free(self->lock.session);
    (void)client_free(self->lock.control);
    address_clear(&self->address);
    free(self);
}

static int quiescer_option(void *instance, const char *key, const char *value)
{
    struct quiescer *self = instance;
    int r = address_set(&self->address, self->host, key, value);

    if (r == -ENOMEM) {
        self->host->error(self->host, "%s", strerror(ENOMEM));
    }
    return r;
}

static int quiescer_ready(void *instance)
{
    struct quiescer *self = instance;
    int r = address_complete(&self->address, self->host);

    if (r == -ENOMEM) {
        self->host->error(self->host, "%s", strerror(ENOMEM));
    }
    return r;
}

/*
 * Nobody listens there: the file is missing, or the connection is refused. Both
 * libraries put the errno into their text, in parentheses; over TCP libmariadb says
 * EINPROGRESS of every failure. A path that we may not use is not a stopped server,
 * and neither is one that did not answer in time.
 */
static bool says_not_running(const struct client *client)
{
    static const int errnos[] = { ENOENT, ECONNREFUSED, EINPROGRESS };
    unsigned int code = client_code(client);

    if (code != CLIENT_E_NO_SOCKET && code != CLIENT_E_NO_HOST) {
        return false;
    }
    for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "(%d)", errnos[i]);
        if (strstr(client_error(client), text) != NULL) {
            return true;
        }
    }
    return false;
}

static int connect_one(struct quiescer *self, struct client *client, uint64_t deadline)
{
    const struct quiesced_host *host = self->host;
    struct client_target target = address_target(&self->address);
    const char *hint = "";
    int r = client_connect(client, &target, deadline);

    if (r == 0) {
        return 0;
    }
    if (client_code(client) == CLIENT_E_ACCESS_DENIED ||
        client_code(client) == CLIENT_E_SOCKET_AUTH_DENIED) {
        hint = self->address.password != NULL
                   ? "; see CREATE USER in quiesced-mysql(5)"
                   : "; without a password the server must know this user by its socket, "
                     "see CREATE USER in quiesced-mysql(5)";
    }
    host->error(host, "cannot connect to %s as '%s': %s%s", self->address.text, self->address.user,
                client_error(client), hint);
    return r == -EREMOTEIO && host->left_ms(host, deadline) > 0 && says_not_running(client)
               ? QUIESCED_NOT_RUNNING
               : r;
}

/*
 * What must not differ from server to server. wait_timeout: the lock session says
 * nothing while it holds; freeze() lowers it to what the hold needs. net_*: how long
 * the server waits for us in the middle of a packet.
 */
static int set_session(struct quiescer *self, struct client *client, uint64_t deadline)
{
    const char *sql = self->server.flavour == SERVER_MARIADB &&
                              self->server.version >= SERVER_VERSION(10u, 1u, 1u)
                          ? "SET SESSION wait_timeout = 86400, net_read_timeout = 10, "
                            "net_write_timeout = 10, autocommit = 1, max_statement_time = 0"
                          : "SET SESSION wait_timeout = 86400, net_read_timeout = 10, "
                            "net_write_timeout = 10, autocommit = 1";

    return client_query(client, sql, CLIENT_CANCELLABLE, deadline, NULL);
}

static int read_lock_id(struct quiescer *self, uint64_t deadline)
{
    CLEANUP_ROWS struct client_rows *rows = NULL;
    const char *const *row;
    int r = client_query(self->lock.session, "SELECT CONNECTION_ID()", CLIENT_CANCELLABLE, deadline,
                         &rows);

    if (r < 0) {
        return r;
    }
    row = client_rows_next(rows);
    if (row == NULL || row[0] == NULL || row[0][strspn(row[0], "0123456789")] != '\0' ||
        strlen(row[0]) >= sizeof(self->lock.id)) {
        return -EPROTO;
    }
    (void)snprintf(self->lock.id, sizeof(self->lock.id), "%s", row[0]);
    return 0;
}

static int check_rights(struct quiescer *self, uint64_t deadline)
{
    const struct quiesced_host *host = self->host;
    struct rights rights;
    char grant[512];
    int r = rights_read(self->lock.control, &self->server, deadline, &rights);

    if (r < 0) {
        return r;
    }
    rights_statement(&self->server, grant, sizeof(grant));
    self->lock.sees_all = rights.process || !rights.certain;
    if (rights.certain && (!rights.lock || (self->server.flavour == SERVER_MYSQL &&
                                            self->server.redo_is_lazy && !rights.flush_logs))) {
        host->error(host, "user %s lacks the privilege %s, grant it: %s", self->server.account,
                    rights_lock_name(&self->server), grant);
        return -EACCES;
    }
    if (!self->lock.sees_all) {
        host->log(host, self->server.flavour == SERVER_MYSQL ? QUIESCED_WARNING : QUIESCED_INFO,
                  "user %s lacks the privilege PROCESS, so statements of others that "
                  "the lock has to wait for are not seen: %s",
                  self->server.account, grant);
    }
    r = coordinates_probe_binlog(self->lock.control, &self->server, deadline);
    if (r > 0) {
        host->log(host, QUIESCED_WARNING,
                  "user %s lacks the privilege %s, so the "
                  "binary log's position is not known: %s",
                  self->server.account, rights_binlog_name(&self->server), grant);
    }
    return r < 0 ? r : 0;
}

static int prepare_sessions(struct quiescer *self, uint64_t deadline, struct client **ret_culprit)
{
    int r;

    *ret_culprit = self->lock.session;
    r = server_identify(self->lock.session, deadline, &self->server);
    if (r == 0) {
        self->host->server(self->host, self->server.name);
        r = set_session(self, self->lock.session, deadline);
    }
    if (r == 0) {
        r = read_lock_id(self, deadline);
    }
    if (r == 0) {
        *ret_culprit = self->lock.control;
        r = set_session(self, self->lock.control, deadline);
    }
    return r;
}

static int quiescer_prepare(void *instance, uint64_t deadline)
{
    struct quiescer *self = instance;
    const struct quiesced_host *host = self->host;
    struct client *culprit = NULL;
    int r;

    r = connect_one(self, self->lock.session, deadline);
    if (r != 0) {
        return r;
    }
    r = connect_one(self, self->lock.control, deadline);
    if (r != 0) {
        /* It ran a moment ago. */
        return r == QUIESCED_NOT_RUNNING ? -ECONNREFUSED : r;
    }
    r = prepare_sessions(self, deadline, &culprit);
    if (r == 0) {
        r = check_rights(self, deadline);
    }
    if (r < 0 && r != -ECANCELED && r != -EACCES) {
        host->error(host, "cannot prepare the session with %s: %s", self->address.text,
                    r == -EPROTO ? "the answer is not understood" : client_error(culprit));
    }
    return r;
}

static int read_under_hold(struct quiescer *self, uint64_t deadline)
{
    const struct quiesced_host *host = self->host;
    int r = redo_flush(host, self->lock.session, &self->server, deadline);

    if (r < 0) {
        return r;
    }
    r = coordinates_read(self->lock.session, &self->server, CLIENT_CANCELLABLE, deadline,
                         &self->before);
    if (r < 0 && r != -ECANCELED) {
        host->error(host, "cannot read the coordinates under the lock: %s",
                    r == -EPROTO ? "the answer is not understood"
                                 : client_error(self->lock.session));
    }
    return r;
}

static int quiescer_freeze(void *instance, uint64_t deadline, uint64_t hold_deadline)
{
    struct quiescer *self = instance;
    int r = lock_take(&self->lock, &self->server, deadline, hold_deadline);

    if (r < 0) {
        return r;
    }
    self->host->log(self->host, QUIESCED_DEBUG, "the lock was granted");
    r = read_under_hold(self, deadline_before(deadline, UNLOCK_MS));
    if (r < 0) {
        lock_drop(&self->lock, deadline);
        return r;
    }
    self->host->method(self->host, METHOD);
    coordinates_report(&self->before, &self->server, self->host);
    return 0;
}

/* Reads the proof; what is wrong with it is told to @ret_why. */
static int read_proof(struct quiescer *self, uint64_t deadline, struct coordinates *ret_after,
                      char *ret_why, size_t size)
{
    int r = coordinates_read(self->lock.session, &self->server, CLIENT_CANCELLABLE, deadline,
                             ret_after);

    if (r < 0) {
        (void)snprintf(
            ret_why, size, "%s: %s",
            r == -ENOTCONN ? "the hold was lost" : "the hold cannot be shown to have lasted",
            r == -EPROTO ? "the answer is not understood" : client_error(self->lock.session));
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
    uint64_t until = deadline_before(deadline, CLOSE_MS);

    if (client_is_open(self->lock.session) && !client_is_busy(self->lock.session) &&
        client_query(self->lock.session, "UNLOCK TABLES", CLIENT_FIRM, until, NULL) == 0) {
        self->host->log(self->host, QUIESCED_DEBUG, "the lock was released");
    }
    lock_drop(&self->lock, deadline);
    client_close(self->lock.control);
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

    lock_drop(&self->lock, deadline_now() + ABORT_MS * USEC_PER_MSEC);
    client_close(self->lock.control);
}

static int quiescer_watch_fd(void *instance)
{
    const struct quiescer *self = instance;

    return client_fd(self->lock.session);
}

QUIESCED_PLUGIN(.name = "mysql", .version = QUIESCED_VERSION,
                .summary = "Holds MySQL and MariaDB with FLUSH TABLES WITH READ LOCK.",
                .options = address_options, .create = quiescer_create, .option = quiescer_option,
                .ready = quiescer_ready, .prepare = quiescer_prepare, .freeze = quiescer_freeze,
                .check = quiescer_check, .thaw = quiescer_thaw, .abort = quiescer_abort,
                .destroy = quiescer_destroy, .watch_fd = quiescer_watch_fd);
