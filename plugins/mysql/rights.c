/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rights.h"

#define GRANT "GRANT "
#define GLOBAL " ON *.* TO "

static bool is_name(const char *text, size_t length, const char *name)
{
    return strlen(name) == length && strncasecmp(text, name, length) == 0;
}

static void rights_add(const char *name, size_t length, const struct server *server,
                       struct rights *rights)
{
    bool all = is_name(name, length, "ALL PRIVILEGES") || is_name(name, length, "ALL");
    bool reload = all || is_name(name, length, "RELOAD");

    rights->lock = rights->lock || reload ||
                   (server->flavour == SERVER_MYSQL && is_name(name, length, "FLUSH_TABLES"));
    rights->flush_logs = rights->flush_logs || reload;
    rights->process = rights->process || all || is_name(name, length, "PROCESS");
}

void rights_parse_line(const char *line, const struct server *server, struct rights *rights)
{
    const char *end = strstr(line, GLOBAL);

    if (strncasecmp(line, GRANT, strlen(GRANT)) != 0) {
        return;
    }
    line += strlen(GRANT);
    if (end == NULL) {
        /* "GRANT role TO user": the role may hold what we look for, and the server
         * may or may not have spelt it out. */
        if (strstr(line, " ON ") == NULL) {
            rights->certain = false;
        }
        return;
    }
    while (line < end) {
        const char *comma = memchr(line, ',', (size_t)(end - line));
        const char *stop = comma != NULL ? comma : end;

        line += strspn(line, " ");
        rights_add(line, (size_t)(stop - line), server, rights);
        line = stop + 1;
    }
}

int rights_read(struct client *client, const struct server *server, uint64_t deadline,
                struct rights *ret)
{
    CLEANUP_ROWS struct client_rows *rows = NULL;
    struct rights rights = { .certain = true };
    const char *const *row;
    int r;

    /* Without FOR: then it shows what the active roles give as well. */
    r = client_query(client, "SHOW GRANTS", CLIENT_CANCELLABLE, deadline, &rows);
    if (r == -EREMOTEIO) {
        *ret = (struct rights){ .certain = false };
        return 0;
    }
    if (r < 0) {
        return r;
    }
    while ((row = client_rows_next(rows)) != NULL) {
        if (row[0] != NULL) {
            rights_parse_line(row[0], server, &rights);
        }
    }
    *ret = rights;
    return 0;
}

const char *rights_lock_name(const struct server *server)
{
    /* FLUSH_TABLES is the lesser privilege, but does not cover FLUSH ENGINE LOGS. */
    return server->flavour == SERVER_MYSQL && !server->redo_is_lazy &&
                   server->version >= SERVER_VERSION(8u, 0u, 23u)
               ? "FLUSH_TABLES"
               : "RELOAD";
}

const char *rights_binlog_name(const struct server *server)
{
    return server->flavour == SERVER_MARIADB && server->version >= SERVER_VERSION(10u, 5u, 2u)
               ? "BINLOG MONITOR"
               : "REPLICATION CLIENT";
}

void rights_statement(const struct server *server, char *ret, size_t size)
{
    (void)snprintf(ret, size, "GRANT %s, PROCESS, %s ON *.* TO %s", rights_lock_name(server),
                   rights_binlog_name(server), server->account);
}
