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
    rights->kill = rights->kill || all || is_name(name, length, "SUPER") ||
                   is_name(name, length, "CONNECTION ADMIN") ||
                   is_name(name, length, "CONNECTION_ADMIN");
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

const char *rights_replica_name(const struct server *server)
{
    return server->flavour == SERVER_MARIADB && server->version >= SERVER_VERSION(10u, 5u, 9u)
               ? "SLAVE MONITOR"
               : "REPLICATION CLIENT";
}

const char *rights_kill_name(const struct server *server)
{
    if (server->flavour == SERVER_MARIADB) {
        return server->version >= SERVER_VERSION(10u, 5u, 2u) ? "CONNECTION ADMIN" : "SUPER";
    }
    return server->version >= SERVER_VERSION(8u, 0u, 0u) ? "CONNECTION_ADMIN" : "SUPER";
}

void rights_statement(const struct server *server, enum policy_blockers blockers, char *ret,
                      size_t size)
{
    const char *binlog = rights_binlog_name(server);
    const char *replica = rights_replica_name(server);
    bool both = strcmp(binlog, replica) != 0;
    bool kills = blockers == POLICY_KILL;

    (void)snprintf(ret, size, "GRANT %s, PROCESS, %s%s%s%s%s ON *.* TO %s",
                   rights_lock_name(server), binlog, both ? ", " : "", both ? replica : "",
                   kills ? ", " : "", kills ? rights_kill_name(server) : "", server->account);
}

static int lacks(const struct server *server, const struct policy *policy,
                 const struct quiesced_host *host, const char *name, const char *what_for)
{
    char grant[512];

    rights_statement(server, policy->blockers, grant, sizeof(grant));
    host->error(host, "user %s lacks the privilege %s, %s; grant it: %s", server->account, name,
                what_for, grant);
    return -EACCES;
}

int rights_check(const struct rights *rights, const struct server *server,
                 const struct policy *policy, enum method method, const struct quiesced_host *host)
{
    bool mysql = server->flavour == SERVER_MYSQL;
    char grant[512];

    if (!rights->certain) {
        return 0; /* the lock itself will tell */
    }
    if (!rights->lock || (mysql && server->redo_is_lazy && !rights->flush_logs)) {
        return lacks(server, policy, host, rights_lock_name(server), "which the lock takes");
    }
    if (!rights->process && mysql) {
        return lacks(server, policy, host, "PROCESS",
                     "without which the lock could run into a long statement unseen");
    }
    if (!rights->process && policy->blockers != POLICY_WAIT) {
        return lacks(server, policy, host, "PROCESS", "which blockers = fail and kill take");
    }
    if (!rights->kill && policy->blockers == POLICY_KILL) {
        return lacks(server, policy, host, rights_kill_name(server), "which blockers = kill takes");
    }
    if (!rights->process) {
        rights_statement(server, policy->blockers, grant, sizeof(grant));
        host->log(host, method == METHOD_FTWRL ? QUIESCED_WARNING : QUIESCED_INFO,
                  "user %s lacks the privilege PROCESS, so statements of others that the lock "
                  "has to wait for are not seen: %s",
                  server->account, grant);
    }
    return 0;
}
