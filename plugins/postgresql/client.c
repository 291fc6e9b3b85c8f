/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.c: the one file that knows libpq
 *
 * libpq writes to its socket with MSG_NOSIGNAL, makes it close-on-exec, and never
 * connects anew by itself.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "client.h"
#include "deadline.h"

#define PARAMS_MAX 64
/* How long the request to cancel a statement may take, where it has a limit */
#define CANCEL_MS 300u

struct client {
    const struct quiesced_host *host;
    PGconn *conn; /* NULL: not connected */
    bool busy;
    char state[6];
    char error[512];
};

struct client_rows {
    PGresult *result;
};

int client_parse(const char *conninfo,
                 int (*take)(void *data, const char *key, const char *value,
                             enum client_secrecy secrecy),
                 void *data, char **ret_why)
{
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &why);
    int r = 0;

    if (options == NULL) {
        *ret_why = why != NULL ? strdup(why) : NULL;
        PQfreemem(why);
        return -EINVAL;
    }
    for (const PQconninfoOption *option = options; option->keyword != NULL && r == 0; option++) {
        if (option->val != NULL) {
            r = take(data, option->keyword, option->val,
                     option->dispchar[0] == '*' ? CLIENT_SECRET : CLIENT_OPEN);
        }
    }
    PQconninfoFree(options);
    return r;
}

int client_create(const struct quiesced_host *host, struct client **ret)
{
    struct client *client = calloc(1, sizeof(*client));

    if (client == NULL) {
        return -ENOMEM;
    }
    client->host = host;
    *ret = client;
    return 0;
}

struct client *client_free(struct client *client)
{
    if (client != NULL) {
        client_close(client);
        free(client);
    }
    return NULL;
}

static void client_clear_error(struct client *client)
{
    client->state[0] = '\0';
    client->error[0] = '\0';
}

/* libpq's texts have several lines; each run of blanks becomes one. */
static void client_set_error(struct client *client, const char *state, const char *text)
{
    size_t n = 0;

    (void)snprintf(client->state, sizeof(client->state), "%s", state != NULL ? state : "");
    for (const char *c = text; *c != '\0' && n + 1 < sizeof(client->error); c++) {
        bool blank = strchr(" \t\r\n", *c) != NULL;

        if (!blank || (n > 0 && client->error[n - 1] != ' ')) {
            client->error[n++] = blank ? ' ' : *c;
        }
    }
    while (n > 0 && client->error[n - 1] == ' ') {
        n--;
    }
    client->error[n] = '\0';
}

static int client_fail(struct client *client, int r, const char *text)
{
    client_set_error(client, NULL, text);
    return r;
}

/* Why the session became of no use is still the reason. */
static int client_fail_still(struct client *client, int r, const char *text)
{
    return client->error[0] != '\0' ? r : client_fail(client, r, text);
}

/* Until the socket is ready for one of @events, or its end is there. */
static int client_await(struct client *client, short events, uint64_t deadline)
{
    const struct quiesced_host *host = client->host;
    struct pollfd fds[2] = {
        { .fd = PQsocket(client->conn), .events = events },
        { .fd = host->cancel_fd(host), .events = POLLIN },
    };

    for (;;) {
        uint32_t left = host->left_ms(host, deadline);
        int n = poll(fds, 2, left > INT_MAX ? INT_MAX : (int)left);

        if (n < 0 && errno != EINTR) {
            int r = -errno;

            return client_fail(client, r, strerror(-r));
        }
        if (n > 0 && fds[0].revents != 0) {
            return 0;
        }
        if (n > 0) {
            return client_fail(client, -ECANCELED, "cancelled");
        }
        if (n == 0 && host->left_ms(host, deadline) == 0) {
            return client_fail(client, -ETIMEDOUT, "no answer in time");
        }
    }
}

/* The server's warnings are for those who ask; by default libpq prints them. */
static void client_ignore_notice(void *data, const char *text)
{
    (void)data;
    (void)text;
}

static int client_connect_poll(struct client *client, uint64_t deadline)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;

    while (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING) {
        int r = client_await(client, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline);

        if (r < 0) {
            return r;
        }
        status = PQconnectPoll(client->conn);
    }
    if (status != PGRES_POLLING_OK || PQsetnonblocking(client->conn, 1) != 0) {
        client_set_error(client, NULL, PQerrorMessage(client->conn));
        return -EREMOTEIO;
    }
    return 0;
}

int client_connect(struct client *client, const struct client_param *params, uint64_t deadline)
{
    const char *keys[PARAMS_MAX + 1] = { NULL };
    const char *values[PARAMS_MAX + 1] = { NULL };
    int r;

    client_clear_error(client);
    for (size_t i = 0; params[i].key != NULL; i++) {
        if (i == PARAMS_MAX) {
            return client_fail(client, -E2BIG, "too many connection parameters");
        }
        keys[i] = params[i].key;
        values[i] = params[i].value;
    }
    client->conn = PQconnectStartParams(keys, values, 0);
    if (client->conn == NULL) {
        return client_fail(client, -ENOMEM, strerror(ENOMEM));
    }
    (void)PQsetNoticeProcessor(client->conn, client_ignore_notice, NULL);
    if (PQstatus(client->conn) == CONNECTION_BAD) {
        client_set_error(client, NULL, PQerrorMessage(client->conn));
        r = -EREMOTEIO;
    } else {
        r = client_connect_poll(client, deadline);
    }
    if (r < 0) {
        PQfinish(client->conn);
        client->conn = NULL;
    }
    return r;
}

/* The server's own last words, if it had any, say more than that it is gone. */
static int client_lose(struct client *client, const PGresult *last_words)
{
    if (last_words != NULL) {
        client_set_error(client, PQresultErrorField(last_words, PG_DIAG_SQLSTATE),
                         PQresultErrorMessage(last_words));
    } else {
        client_set_error(client, NULL, PQerrorMessage(client->conn));
    }
    client->busy = false;
    client_close(client);
    return -ENOTCONN;
}

static int client_flush(struct client *client, uint64_t deadline)
{
    for (;;) {
        int n = PQflush(client->conn);
        int r;

        if (n == 0) {
            return 0;
        }
        if (n < 0) {
            return client_lose(client, NULL);
        }
        r = client_await(client, POLLIN | POLLOUT, deadline);
        if (r < 0) {
            return r;
        }
        /* A server that waits for us to read would never take the rest. */
        if (PQconsumeInput(client->conn) == 0) {
            return client_lose(client, NULL);
        }
    }
}

static bool result_is_error(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    return status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY;
}

/* The last result that there is to have now; an error among them stays. */
static bool client_take_results(struct client *client, PGresult **result)
{
    while (PQisBusy(client->conn) == 0) {
        PGresult *next = PQgetResult(client->conn);

        if (next == NULL) {
            return true;
        }
        if (*result != NULL && result_is_error(*result)) {
            PQclear(next);
            continue;
        }
        PQclear(*result);
        *result = next;
    }
    return false;
}

static int client_read(struct client *client, uint64_t deadline, PGresult **ret_result)
{
    PGresult *result = NULL;
    int r = 0;

    while (!client_take_results(client, &result)) {
        r = client_await(client, POLLIN, deadline);
        if (r < 0) {
            break;
        }
        if (PQconsumeInput(client->conn) == 0) {
            r = client_lose(client, result);
            break;
        }
    }
    if (r == 0 && PQstatus(client->conn) == CONNECTION_BAD) {
        r = client_lose(client, result);
    }
    if (r == 0 && result == NULL) {
        r = client_fail(client, -ENOMEM, strerror(ENOMEM));
    }
    if (r < 0) {
        PQclear(result);
        return r;
    }
    *ret_result = result;
    return 0;
}

static int client_keep_rows(struct client *client, PGresult *result, struct client_rows **ret_rows)
{
    struct client_rows *rows;

    if (ret_rows == NULL) {
        PQclear(result);
        return 0;
    }
    rows = calloc(1, sizeof(*rows));
    if (rows == NULL) {
        PQclear(result);
        return client_fail(client, -ENOMEM, strerror(ENOMEM));
    }
    rows->result = result;
    *ret_rows = rows;
    return 0;
}

int client_query(struct client *client, const char *sql, uint64_t deadline,
                 struct client_rows **ret_rows)
{
    PGresult *result = NULL;
    int r;

    if (client->conn == NULL) {
        return client_fail_still(client, -ENOTCONN, "not connected");
    }
    if (client->busy) {
        return client_fail_still(client, -EBUSY, "an earlier answer has not come");
    }
    client_clear_error(client);
    client->busy = true;
    if (PQsendQuery(client->conn, sql) != 1) {
        return client_lose(client, NULL);
    }
    r = client_flush(client, deadline);
    if (r == 0) {
        r = client_read(client, deadline, &result);
    }
    if (r < 0) {
        return r;
    }
    client->busy = false;
    if (result_is_error(result)) {
        client_set_error(client, PQresultErrorField(result, PG_DIAG_SQLSTATE),
                         PQresultErrorMessage(result));
        PQclear(result);
        return -EREMOTEIO;
    }
    return client_keep_rows(client, result, ret_rows);
}

#ifdef LIBPQ_HAS_ASYNC_CANCEL
void client_cancel(struct client *client)
{
    uint64_t deadline = deadline_now() + CANCEL_MS * USEC_PER_MSEC;
    PGcancelConn *cancel = PQcancelCreate(client->conn);
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;

    if (cancel != NULL && PQcancelStart(cancel) == 1) {
        while (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING) {
            struct pollfd fd = {
                .fd = PQcancelSocket(cancel),
                .events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT,
            };

            if (poll(&fd, 1, (int)client->host->left_ms(client->host, deadline)) <= 0) {
                break;
            }
            status = PQcancelPoll(cancel);
        }
    }
    PQcancelFinish(cancel);
}
#else
void client_cancel(struct client *client)
{
    PGcancel *cancel = PQgetCancel(client->conn);
    char why[256];

    if (cancel != NULL) {
        /* If it fails, the server's own limits are left. */
        (void)PQcancel(cancel, why, sizeof(why));
        PQfreeCancel(cancel);
    }
}
#endif

void client_close(struct client *client)
{
    if (client->conn == NULL) {
        return;
    }
    PQfinish(client->conn);
    client->conn = NULL;
    client->busy = false;
}

bool client_is_open(const struct client *client)
{
    return client != NULL && client->conn != NULL;
}

bool client_is_busy(const struct client *client)
{
    return client != NULL && client->busy;
}

int client_fd(const struct client *client)
{
    return client_is_open(client) ? PQsocket(client->conn) : -1;
}

int client_version(const struct client *client)
{
    return client_is_open(client) ? PQserverVersion(client->conn) : 0;
}

int client_pid(const struct client *client)
{
    return client_is_open(client) ? PQbackendPID(client->conn) : 0;
}

const char *client_state(const struct client *client)
{
    return client->state;
}

const char *client_error(const struct client *client)
{
    return client->error;
}

unsigned int client_rows_count(const struct client_rows *rows)
{
    return (unsigned int)PQntuples(rows->result);
}

unsigned int client_rows_width(const struct client_rows *rows)
{
    return (unsigned int)PQnfields(rows->result);
}

const char *client_rows_get(const struct client_rows *rows, unsigned int row, unsigned int column)
{
    if (PQgetisnull(rows->result, (int)row, (int)column) != 0) {
        return NULL;
    }
    return PQgetvalue(rows->result, (int)row, (int)column);
}

struct client_rows *client_rows_free(struct client_rows *rows)
{
    if (rows != NULL) {
        PQclear(rows->result);
        free(rows);
    }
    return NULL;
}
