/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "deadline.h"
#include "sessions.h"

/* How long an answer to KILL is worth waiting for */
#define KILL_MS 150u
/* The libraries count a connection's time in whole seconds: with less left it would be late. */
#define CONNECT_LEAST_MS 1000u

int sessions_init(struct sessions *sessions, const struct quiesced_host *host,
                  const struct options *options, const struct server *server)
{
    int r;

    *sessions = (struct sessions){ .host = host, .options = options, .server = server };
    r = client_create(host, &sessions->lock);
    if (r == 0) {
        r = client_create(host, &sessions->control);
    }
    if (r == 0) {
        r = client_create(host, &sessions->spare);
    }
    return r;
}

void sessions_clear(struct sessions *sessions)
{
    sessions->lock = client_free(sessions->lock);
    sessions->control = client_free(sessions->control);
    sessions->spare = client_free(sessions->spare);
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

static int connect_client(const struct sessions *sessions, struct client *client, uint64_t deadline)
{
    struct client_target target = options_target(sessions->options);

    return client_connect(client, &target, deadline);
}

static int connect_or_tell(const struct sessions *sessions, struct client *client,
                           uint64_t deadline)
{
    const struct quiesced_host *host = sessions->host;
    const struct options *options = sessions->options;
    const char *hint = "";
    int r = connect_client(sessions, client, deadline);

    if (r == 0) {
        return 0;
    }
    if (client_code(client) == CLIENT_E_ACCESS_DENIED ||
        client_code(client) == CLIENT_E_SOCKET_AUTH_DENIED) {
        hint = options->login.password != NULL
                   ? "; see CREATE USER in quiesced-mysql(5)"
                   : "; without a password the server must know this user by its socket, "
                     "see CREATE USER in quiesced-mysql(5)";
    }
    host->error(host, "cannot connect to %s as '%s': %s%s", options->address.text,
                options->login.user, client_error(client), hint);
    return r == -EREMOTEIO && host->left_ms(host, deadline) > 0 && says_not_running(client)
               ? QUIESCED_NOT_RUNNING
               : r;
}

/*
 * What must not differ from server to server. wait_timeout: the lock's session says
 * nothing while it holds; the lock lowers it to what the hold needs. net_*: how long
 * the server waits for us in the middle of a packet.
 */
static int set_variables(const struct server *server, struct client *client, uint64_t deadline)
{
    const char *sql =
        server->flavour == SERVER_MARIADB && server->version >= SERVER_VERSION(10u, 1u, 1u)
            ? "SET SESSION wait_timeout = 86400, net_read_timeout = 10, "
              "net_write_timeout = 10, autocommit = 1, max_statement_time = 0"
            : "SET SESSION wait_timeout = 86400, net_read_timeout = 10, "
              "net_write_timeout = 10, autocommit = 1";

    return client_query(client, sql, CLIENT_CANCELLABLE, deadline, NULL);
}

static int read_id(struct client *client, uint64_t deadline, char *ret, size_t size)
{
    CLEANUP_ROWS struct client_rows *rows = NULL;
    const char *const *row;
    int r = client_query(client, "SELECT CONNECTION_ID()", CLIENT_CANCELLABLE, deadline, &rows);

    if (r < 0) {
        return r;
    }
    row = client_rows_next(rows);
    if (row == NULL || row[0] == NULL || row[0][strspn(row[0], "0123456789")] != '\0' ||
        strlen(row[0]) >= size) {
        return -EPROTO;
    }
    (void)snprintf(ret, size, "%s", row[0]);
    return 0;
}

static int set_up(struct sessions *sessions, struct server *server, uint64_t deadline,
                  struct client **ret_culprit)
{
    int r;

    *ret_culprit = sessions->lock;
    r = server_identify(sessions->lock, deadline, server);
    if (r == 0) {
        sessions->host->server(sessions->host, server->name);
        r = set_variables(server, sessions->lock, deadline);
    }
    if (r == 0) {
        r = read_id(sessions->lock, deadline, sessions->lock_id, sizeof(sessions->lock_id));
    }
    if (r == 0) {
        *ret_culprit = sessions->control;
        r = set_variables(server, sessions->control, deadline);
    }
    return r;
}

static int open_spare(struct sessions *sessions, const struct server *server, uint64_t deadline)
{
    struct client *spare = sessions->spare;
    int r = connect_client(sessions, spare, deadline);

    if (r == 0) {
        r = set_variables(server, spare, deadline);
    }
    if (r == 0) {
        r = read_id(spare, deadline, sessions->spare_id, sizeof(sessions->spare_id));
    }
    if (r < 0) {
        client_close(spare);
    }
    return r;
}

int sessions_open(struct sessions *sessions, struct server *ret_server, uint64_t deadline)
{
    const struct quiesced_host *host = sessions->host;
    struct client *culprit = NULL;
    int r = connect_or_tell(sessions, sessions->lock, deadline);

    if (r != 0) {
        return r;
    }
    r = connect_or_tell(sessions, sessions->control, deadline);
    if (r != 0) {
        /* It ran a moment ago. */
        return r == QUIESCED_NOT_RUNNING ? -ECONNREFUSED : r;
    }
    r = set_up(sessions, ret_server, deadline, &culprit);
    if (r < 0) {
        if (r != -ECANCELED) {
            host->error(host, "cannot prepare the session with %s: %s",
                        sessions->options->address.text,
                        r == -EPROTO ? "the answer is not understood" : client_error(culprit));
        }
        return r;
    }
    r = open_spare(sessions, ret_server, deadline);
    if (r < 0 && r != -ECANCELED) {
        host->log(host, QUIESCED_INFO, "no session for a second try of the lock: %s",
                  client_error(sessions->spare));
        return 0;
    }
    return r;
}

int sessions_renew(struct sessions *sessions, uint64_t deadline)
{
    uint32_t left = sessions->host->left_ms(sessions->host, deadline);
    struct client *client = sessions->lock;

    if (!client_is_open(sessions->spare) && left >= CONNECT_LEAST_MS) {
        (void)open_spare(sessions, sessions->server, deadline_before(deadline, left % 1000u));
    }
    if (!client_is_open(sessions->spare)) {
        return -ENOTCONN;
    }
    sessions->lock = sessions->spare;
    sessions->spare = client;
    memcpy(sessions->lock_id, sessions->spare_id, sizeof(sessions->lock_id));
    if (left >= CONNECT_LEAST_MS) {
        (void)open_spare(sessions, sessions->server, deadline_before(deadline, left % 1000u));
    }
    return 0;
}

void sessions_kill_lock(struct sessions *sessions, uint64_t deadline)
{
    char sql[64];

    if (client_is_open(sessions->control) && sessions->lock_id[0] != '\0') {
        (void)snprintf(sql, sizeof(sql), "KILL %s", sessions->lock_id);
        /* If it fails, closing the socket is all that is left. */
        (void)client_query(sessions->control, sql, CLIENT_FIRM, deadline_within(deadline, KILL_MS),
                           NULL);
    }
    client_close(sessions->lock);
}

void sessions_drop_lock(struct sessions *sessions, uint64_t deadline)
{
    if (client_is_busy(sessions->lock)) {
        sessions_kill_lock(sessions, deadline);
    }
    client_close(sessions->lock);
}

void sessions_drop_spare(struct sessions *sessions)
{
    client_close(sessions->spare);
}

void sessions_drop_rest(struct sessions *sessions)
{
    client_close(sessions->control);
    client_close(sessions->spare);
}
