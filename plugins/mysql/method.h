/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * method.h: the statements that take a lock, and those that give it back
 *
 * Each statement is bounded by the server itself where the server can do that, so
 * that nothing stays in its queue whatever becomes of us.
 */
#ifndef MYSQL_METHOD_H
#define MYSQL_METHOD_H

#include <stdint.h>

#include "client.h"
#include "policy.h"
#include "quiesced-plugin.h"
#include "server.h"

enum method {
    METHOD_FTWRL,        /* FLUSH TABLES WITH READ LOCK */
    METHOD_BACKUP_STAGE, /* BACKUP STAGE START to BLOCK_COMMIT */
};

/* Which one it shall be, and why, in words that stay. -EOPNOTSUPP: the server has not what is
 * configured, told to @host. */
int method_choose(const struct policy *policy, const struct server *server,
                  const struct quiesced_host *host, enum method *ret, const char **ret_reason);

/* As it stands in the record */
const char *method_name(enum method method);
/* The statement, for messages */
const char *method_statement(enum method method);

/*
 * As client_query(), and -EALREADY: somebody else keeps a backup lock; nothing is held,
 * and the session is good for another method. *ret_stalled_ms is for how long others may
 * have waited for the lock, written in any case.
 */
int method_take(enum method method, const struct quiesced_host *host, struct client *client,
                const struct server *server, uint32_t wait_ms, uint64_t until,
                uint32_t *ret_stalled_ms);
int method_release(enum method method, struct client *client, uint64_t deadline);

#endif
