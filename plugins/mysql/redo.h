/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * redo.h: brings to the disk what commits have left in InnoDB's log buffer
 *
 * With innodb_flush_log_at_trx_commit = 0 a commit is acknowledged before its redo
 * is written, and the lock alone would lose up to a second of them. With 1 and 2
 * there is nothing to do, and nothing is done.
 */
#ifndef MYSQL_REDO_H
#define MYSQL_REDO_H

#include <stdint.h>

#include "client.h"
#include "policy.h"
#include "quiesced-plugin.h"
#include "server.h"

/* Under the lock. Tells @host what failed, unless it is -ECANCELED; @blockers is for the
 * GRANT in it. */
int redo_flush(const struct quiesced_host *host, struct client *client, const struct server *server,
               enum policy_blockers blockers, uint64_t deadline);

#endif
