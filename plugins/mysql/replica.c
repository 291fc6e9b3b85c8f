/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "replica.h"

/* More have no room in a record beside the rest. */
#define CHANNELS_MAX 4u

struct columns {
    const char *channel; /* the connection's name */
    const char *file;    /* the primary's, executed */
    const char *position;
};

static const struct columns columns_mariadb = { "Connection_name", "Relay_Master_Log_File",
                                                "Exec_Master_Log_Pos" };
static const struct columns columns_old = { "Channel_Name", "Relay_Master_Log_File",
                                            "Exec_Master_Log_Pos" };
static const struct columns columns_new = { "Channel_Name", "Relay_Source_Log_File",
                                            "Exec_Source_Log_Pos" };

static int ask(struct client *client, const struct server *server, uint64_t deadline,
               const struct columns **ret_columns, struct client_rows **ret_rows)
{
    const char *sql;

    if (server->flavour == SERVER_MARIADB) {
        sql = "SHOW ALL SLAVES STATUS";
        *ret_columns = &columns_mariadb;
    } else if (server->version >= SERVER_VERSION(8u, 0u, 22u)) {
        sql = "SHOW REPLICA STATUS";
        *ret_columns = &columns_new;
    } else {
        sql = "SHOW SLAVE STATUS";
        *ret_columns = &columns_old;
    }
    return client_query(client, sql, CLIENT_CANCELLABLE, deadline, ret_rows);
}

static const char *value_of(const struct client_rows *rows, const char *const *row,
                            const char *column)
{
    int i = client_rows_column(rows, column);

    return i >= 0 && row[i] != NULL ? row[i] : "";
}

/* "replica-source-file" of the first channel, "replica-2-source-file" of the second */
static void report(const struct quiesced_host *host, unsigned int number, const char *what,
                   const char *value)
{
    char key[32];

    if (value[0] == '\0') {
        return;
    }
    if (number == 1) {
        (void)snprintf(key, sizeof(key), "replica-%s", what);
    } else {
        (void)snprintf(key, sizeof(key), "replica-%u-%s", number, what);
    }
    host->coordinate(host, key, value);
}

int replica_report(struct client *client, const struct server *server,
                   const struct quiesced_host *host, uint64_t deadline)
{
    CLEANUP_ROWS struct client_rows *rows = NULL;
    const struct columns *columns;
    const char *const *row;
    unsigned int number = 0;
    int r = ask(client, server, deadline, &columns, &rows);

    if (r == -EREMOTEIO) {
        return 0; /* prepare has told why */
    }
    if (r < 0) {
        return r;
    }
    while ((row = client_rows_next(rows)) != NULL) {
        if (++number > CHANNELS_MAX) {
            host->log(host, QUIESCED_WARNING,
                      "the positions of the replication channels after the first %u are left out",
                      CHANNELS_MAX);
            break;
        }
        report(host, number, "channel", value_of(rows, row, columns->channel));
        report(host, number, "source-file", value_of(rows, row, columns->file));
        report(host, number, "source-position", value_of(rows, row, columns->position));
    }
    return 0;
}

int replica_probe(struct client *client, const struct server *server, uint64_t deadline)
{
    CLEANUP_ROWS struct client_rows *rows = NULL;
    const struct columns *columns;
    int r = ask(client, server, deadline, &columns, &rows);

    if (r == -EREMOTEIO) {
        return client_code(client) == CLIENT_E_PRIVILEGE ? 1 : 0;
    }
    return r;
}
