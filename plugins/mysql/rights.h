/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rights.h: what our account may do, and the GRANT for what it may not */
#ifndef MYSQL_RIGHTS_H
#define MYSQL_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client.h"
#include "method.h"
#include "policy.h"
#include "quiesced-plugin.h"
#include "server.h"

struct rights {
    bool lock;       /* FLUSH TABLES WITH READ LOCK */
    bool flush_logs; /* FLUSH ENGINE LOGS, MySQL's */
    bool process;    /* sees the statements of others */
    bool kill;       /* ends them */
    bool certain;    /* false: there may be more than the server shows */
};

/* What SHOW GRANTS says. The server's refusal to say it is not an error: then
 * nothing is certain. Otherwise as client_query(). */
int rights_read(struct client *client, const struct server *server, uint64_t deadline,
                struct rights *ret);

/* Adds to @rights what one line of SHOW GRANTS gives. */
void rights_parse_line(const char *line, const struct server *server, struct rights *rights);

/* The privileges by their names on this server */
const char *rights_lock_name(const struct server *server);
const char *rights_binlog_name(const struct server *server);

const char *rights_replica_name(const struct server *server);
const char *rights_kill_name(const struct server *server);

/* All that the plugin needs, as one statement: "GRANT ... ON *.* TO ..." */
void rights_statement(const struct server *server, enum policy_blockers blockers, char *ret,
                      size_t size);

/* Does the account have what the hold takes? If not, -EACCES, and @host was told which
 * privilege is missing. What merely makes it blind is a warning. */
int rights_check(const struct rights *rights, const struct server *server,
                 const struct policy *policy, enum method method, const struct quiesced_host *host);

#endif
