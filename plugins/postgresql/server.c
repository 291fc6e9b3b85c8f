/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"

/* The server's limit comes so much earlier than ours, since it knows the reason. */
#define SERVER_FIRST_MS 200u
#define SERVER_LEAST_MS 50u
/* How often a server looks, amid a statement, whether its client is still there */
#define ALIVE_MS 500u

enum column {
    COLUMN_VERSION,
    COLUMN_ACCOUNT,
    COLUMN_PID,
    COLUMN_FSYNC,
    COLUMN_FULL_PAGE_WRITES,
    COLUMN_DATA_DIRECTORY, /* a view hides the row of what we may not read */
    COLUMNS,
};

#define SQL_IDENTIFY                                                                    \
    "SELECT current_setting('server_version'), quote_ident(current_user), "             \
    "pg_backend_pid(), current_setting('fsync'), current_setting('full_page_writes'), " \
    "(SELECT setting FROM pg_settings WHERE name = 'data_directory')"

static bool is_on(const char *value)
{
    return value == NULL || strcmp(value, "off") != 0;
}

int server_identify(struct client *client, uint64_t deadline, struct server *ret,
                    const char **ret_why)
{
    CLEANUP_ROWS struct client_rows *rows = NULL;
    struct server server = { .version = client_version(client) };
    const char *values[COLUMNS];
    int r;

    if (server.version < SERVER_VERSION_LEAST) {
        *ret_why = "it is older than PostgreSQL 10";
        return -ENOTSUP;
    }
    r = client_query(client, SQL_IDENTIFY, deadline, &rows);
    if (r < 0) {
        return r;
    }
    if (client_rows_count(rows) != 1 || client_rows_width(rows) != COLUMNS) {
        return -EPROTO;
    }
    for (unsigned int i = 0; i < COLUMNS; i++) {
        values[i] = client_rows_get(rows, 0, i);
    }
    if (values[COLUMN_VERSION] == NULL || values[COLUMN_ACCOUNT] == NULL ||
        values[COLUMN_PID] == NULL) {
        return -EPROTO;
    }
    /* A pooler shares sessions among clients and has numbers of its own for them. */
    if (strtol(values[COLUMN_PID], NULL, 10) != client_pid(client)) {
        *ret_why = "a pooler answers there, in place of the server itself";
        return -ENOTSUP;
    }
    (void)snprintf(server.name, sizeof(server.name), "PostgreSQL %.*s",
                   (int)strcspn(values[COLUMN_VERSION], " "), values[COLUMN_VERSION]);
    (void)snprintf(server.account, sizeof(server.account), "%s", values[COLUMN_ACCOUNT]);
    if (values[COLUMN_DATA_DIRECTORY] != NULL &&
        strlen(values[COLUMN_DATA_DIRECTORY]) < sizeof(server.data_directory)) {
        (void)snprintf(server.data_directory, sizeof(server.data_directory), "%s",
                       values[COLUMN_DATA_DIRECTORY]);
    }
    server.fsync = is_on(values[COLUMN_FSYNC]);
    server.full_page_writes = is_on(values[COLUMN_FULL_PAGE_WRITES]);
    *ret = server;
    return 0;
}

int server_limit(struct client *client, const struct quiesced_host *host, uint64_t deadline,
                 uint64_t idle_ms)
{
    uint32_t left = host->left_ms(host, deadline);
    uint32_t statement =
        left > SERVER_FIRST_MS + SERVER_LEAST_MS ? left - SERVER_FIRST_MS : SERVER_LEAST_MS;
    int version = client_version(client);
    char session[128] = "";
    char sql[512];

    if (version >= SERVER_VERSION_SESSION_LIMITS) {
        (void)snprintf(session, sizeof(session),
                       ", ('idle_session_timeout', '%" PRIu64 "'), "
                       "('client_connection_check_interval', '%u')",
                       idle_ms, ALIVE_MS);
    }
    /* The path keeps anybody's functions out that are named as the server's own. A limit of a
     * transaction would end the session, not the statement alone. */
    (void)snprintf(sql, sizeof(sql),
                   "SELECT pg_catalog.set_config(name, value, false) FROM (VALUES "
                   "('search_path', 'pg_catalog'), ('statement_timeout', '%u')%s%s) "
                   "AS limits (name, value)",
                   statement, session,
                   version >= SERVER_VERSION_TRANSACTION_LIMIT ? ", ('transaction_timeout', '0')"
                                                               : "");
    return client_query(client, sql, deadline, NULL);
}

void server_warn(const struct server *server, const struct quiesced_host *host)
{
    if (!server->fsync) {
        host->log(host, QUIESCED_WARNING,
                  "fsync is off: the copy may lack what was committed, and may be damaged");
    }
    if (!server->full_page_writes) {
        host->log(host, QUIESCED_WARNING,
                  "full_page_writes is off: a page that is half written in the copy cannot be "
                  "repaired, unless the file system never leaves one");
    }
}
