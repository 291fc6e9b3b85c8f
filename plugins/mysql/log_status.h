/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log_status.h: performance_schema.log_status, MySQL's own table for backups
 *
 * One read of the binary log's position, the GTIDs and InnoDB's log, all of one moment. It
 * takes privileges that the hold does not: BACKUP_ADMIN, and SELECT on the table.
 */
#ifndef MYSQL_LOG_STATUS_H
#define MYSQL_LOG_STATUS_H

#include <stdint.h>

#include "client.h"
#include "quiesced-plugin.h"
#include "server.h"

/* Under the hold: tells @host InnoDB's log sequence number and that of its last checkpoint.
 * As client_query(); 0 also where there is no such table, or we may not read it. */
int log_status_report(struct client *client, const struct server *server,
                      const struct quiesced_host *host, uint64_t deadline);

#endif
