/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "deadline.h"
#include "method.h"

/* How long another backup may take to let go. Whoever waits here stops ALTER TABLE alone. */
#define START_MS 250u
/* The server's own limit comes so much earlier than ours, since it knows the reason. */
#define SERVER_FIRST_MS 100u

/* Writes nothing about the statement to the binary log: LOCAL. */
#define SQL_FTWRL "FLUSH LOCAL TABLES WITH READ LOCK"

static bool has_backup_stage(const struct server *server)
{
    return server->flavour == SERVER_MARIADB && server->version >= SERVER_VERSION(10u, 4u, 1u);
}

static bool has_statement_time(const struct server *server)
{
    return server->flavour == SERVER_MARIADB && server->version >= SERVER_VERSION(10u, 1u, 2u);
}

int method_choose(const struct policy *policy, const struct server *server,
                  const struct quiesced_host *host, enum method *ret, const char **ret_reason)
{
    switch (policy->method) {
    case POLICY_FTWRL:
        *ret = METHOD_FTWRL;
        *ret_reason = "it is configured";
        return 0;
    case POLICY_BACKUP_STAGE:
        if (!has_backup_stage(server)) {
            host->error(host,
                        "method = backup-stage takes MariaDB 10.4.1 or later, and this is %s: use "
                        "auto or ftwrl",
                        server->name);
            return -EOPNOTSUPP;
        }
        *ret = METHOD_BACKUP_STAGE;
        *ret_reason = "it is configured";
        return 0;
    case POLICY_AUTO:
        *ret = has_backup_stage(server) ? METHOD_BACKUP_STAGE : METHOD_FTWRL;
        *ret_reason = has_backup_stage(server)
                          ? "auto: the server has it, and it does not wait for InnoDB's writes"
                      : server->flavour == SERVER_MARIADB
                          ? "auto: MariaDB before 10.4.1 has no BACKUP STAGE"
                          : "auto: MySQL has no BACKUP STAGE";
        return 0;
    }
    return -EINVAL;
}

const char *method_name(enum method method)
{
    return method == METHOD_FTWRL ? "ftwrl" : "backup-stage";
}

const char *method_statement(enum method method)
{
    return method == METHOD_FTWRL ? "FLUSH TABLES WITH READ LOCK" : "BACKUP STAGE BLOCK_COMMIT";
}

/* One statement, ended by the server after @wait_ms where it can do so to the millisecond,
 * and given up by us a little later. Elsewhere lock_wait_timeout stands behind it, whose
 * whole seconds may come first. */
static int ask(const struct quiesced_host *host, struct client *client, const struct server *server,
               const char *statement, uint32_t wait_ms, uint64_t until)
{
    uint32_t slack = has_statement_time(server) || wait_ms % 1000u == 0 ? SERVER_FIRST_MS : 0;
    uint32_t left = host->left_ms(host, until);
    char sql[160];

    if (left > wait_ms + slack) {
        until = deadline_before(until, left - wait_ms - slack);
    } else if (left > 2 * slack) {
        wait_ms = left - slack;
    }
    if (has_statement_time(server)) {
        /* For this statement alone: it must not bite later ones. */
        (void)snprintf(sql, sizeof(sql), "SET STATEMENT max_statement_time = %u.%03u FOR %s",
                       wait_ms / 1000u, wait_ms % 1000u, statement);
    } else {
        (void)snprintf(sql, sizeof(sql), "%s", statement);
    }
    return client_query(client, sql, CLIENT_CANCELLABLE, until, NULL);
}

static bool was_refused_in_time(const struct client *client, int r)
{
    return r == -EREMOTEIO && (client_code(client) == CLIENT_E_LOCK_WAIT_TIMEOUT ||
                               client_code(client) == CLIENT_E_STATEMENT_TIMEOUT);
}

static int take_stages(const struct quiesced_host *host, struct client *client,
                       const struct server *server, uint32_t wait_ms, uint64_t until,
                       uint32_t *ret_stalled_ms)
{
    static const char *const stages[] = { "BACKUP STAGE FLUSH", "BACKUP STAGE BLOCK_DDL",
                                          "BACKUP STAGE BLOCK_COMMIT" };
    uint32_t begin;
    int r = ask(host, client, server, "BACKUP STAGE START", wait_ms < START_MS ? wait_ms : START_MS,
                until);

    if (r < 0) {
        return was_refused_in_time(client, r) ? -EALREADY : r;
    }
    begin = host->left_ms(host, until);
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]) && r == 0; i++) {
        uint32_t used = begin - host->left_ms(host, until);

        /* All together have one bound. */
        r = ask(host, client, server, stages[i], used < wait_ms ? wait_ms - used : 1, until);
    }
    *ret_stalled_ms = begin - host->left_ms(host, until);
    return r;
}

int method_take(enum method method, const struct quiesced_host *host, struct client *client,
                const struct server *server, uint32_t wait_ms, uint64_t until,
                uint32_t *ret_stalled_ms)
{
    uint32_t begin = host->left_ms(host, until);
    int r;

    *ret_stalled_ms = 0;
    if (method == METHOD_BACKUP_STAGE) {
        return take_stages(host, client, server, wait_ms, until, ret_stalled_ms);
    }
    r = ask(host, client, server, SQL_FTWRL, wait_ms, until);
    *ret_stalled_ms = begin - host->left_ms(host, until);
    return r;
}

int method_release(enum method method, struct client *client, uint64_t deadline)
{
    return client_query(client, method == METHOD_FTWRL ? "UNLOCK TABLES" : "BACKUP STAGE END",
                        CLIENT_FIRM, deadline, NULL);
}
