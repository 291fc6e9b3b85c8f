/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server.h"

/* What libmysqlclient does not strip: MariaDB's replication prefix */
#define REPLICATION_PREFIX "5.5.5-"

void server_parse_version(const char *version, const char *comment, struct server *ret)
{
    unsigned int major = 0;
    unsigned int minor = 0;
    unsigned int patch = 0;
    bool mariadb = strcasestr(version, "mariadb") != NULL || strcasestr(comment, "mariadb") != NULL;

    if (mariadb && strncmp(version, REPLICATION_PREFIX, strlen(REPLICATION_PREFIX)) == 0) {
        version += strlen(REPLICATION_PREFIX);
    }
    (void)sscanf(version, "%3u.%2u.%2u", &major, &minor, &patch);
    ret->flavour = mariadb ? SERVER_MARIADB : SERVER_MYSQL;
    ret->version = SERVER_VERSION(major, minor, patch);
    (void)snprintf(ret->name, sizeof(ret->name), "%s %.*s", mariadb ? "MariaDB" : "MySQL",
                   (int)strspn(version, "0123456789."), version);
    ret->new_binlog_status = !mariadb && ret->version >= SERVER_VERSION(8u, 2u, 0u);
}

static bool append(char *buffer, size_t size, size_t *length, char c)
{
    if (*length + 1 >= size) {
        return false;
    }
    buffer[(*length)++] = c;
    buffer[*length] = '\0';
    return true;
}

static bool append_quoted(char *buffer, size_t size, size_t *length, const char *text,
                          size_t text_length)
{
    bool fits = append(buffer, size, length, '\'');

    for (size_t i = 0; i < text_length && fits; i++) {
        if (text[i] == '\'' || text[i] == '\\') {
            fits = append(buffer, size, length, text[i]);
        }
        fits = fits && append(buffer, size, length, text[i]);
    }
    return fits && append(buffer, size, length, '\'');
}

bool server_quote_account(const char *account, char *ret, size_t size)
{
    /* A user's name may have an @, a host's may not. */
    const char *at = strrchr(account, '@');
    size_t length = 0;

    if (at == NULL) {
        return append_quoted(ret, size, &length, account, strlen(account));
    }
    return append_quoted(ret, size, &length, account, (size_t)(at - account)) &&
           append(ret, size, &length, '@') &&
           append_quoted(ret, size, &length, at + 1, strlen(at + 1));
}

static int server_read_variables(struct client *client, uint64_t deadline, struct server *server)
{
    CLEANUP_ROWS struct client_rows *rows = NULL;
    const char *const *row;
    int r;

    /* Not by SELECT @@: what a server does not have would be an error. */
    r = client_query(client,
                     "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', "
                     "'server_uuid', 'server_uid', 'innodb_flush_log_at_trx_commit', "
                     "'gtid_slave_pos')",
                     CLIENT_CANCELLABLE, deadline, &rows);
    if (r < 0) {
        return r;
    }
    while (client_rows_width(rows) >= 2 && (row = client_rows_next(rows)) != NULL) {
        if (row[0] == NULL || row[1] == NULL) {
            continue;
        }
        if (strcasecmp(row[0], "log_bin") == 0) {
            server->binlog = strcasecmp(row[1], "ON") == 0 || strcmp(row[1], "1") == 0;
        } else if (strcasecmp(row[0], "innodb_flush_log_at_trx_commit") == 0) {
            server->redo_is_lazy = strcmp(row[1], "0") == 0;
        } else if (strcasecmp(row[0], "gtid_slave_pos") == 0) {
            server->is_replica = row[1][0] != '\0';
        } else {
            (void)snprintf(server->identity, sizeof(server->identity), "%s", row[1]);
        }
    }
    return 0;
}

int server_identify(struct client *client, uint64_t deadline, struct server *ret)
{
    CLEANUP_ROWS struct client_rows *rows = NULL;
    struct server server = { .version = 0 };
    const char *const *row;
    int r;

    r = client_query(client, "SELECT VERSION(), @@version_comment, CURRENT_USER()",
                     CLIENT_CANCELLABLE, deadline, &rows);
    if (r < 0) {
        return r;
    }
    row = client_rows_next(rows);
    if (row == NULL || client_rows_width(rows) != 3 || row[0] == NULL) {
        return -EPROTO;
    }
    server_parse_version(row[0], row[1] != NULL ? row[1] : "", &server);
    if (row[2] == NULL || !server_quote_account(row[2], server.account, sizeof(server.account))) {
        (void)snprintf(server.account, sizeof(server.account), "CURRENT_USER");
    }
    r = server_read_variables(client, deadline, &server);
    if (r < 0) {
        return r;
    }
    *ret = server;
    return 0;
}
