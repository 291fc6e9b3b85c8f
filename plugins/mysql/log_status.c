/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stddef.h>

#include "log_status.h"

#define SQL                                                                          \
    "SELECT LOCAL->>'$.binary_log_file', LOCAL->>'$.binary_log_position', "          \
    "STORAGE_ENGINES->>'$.InnoDB.LSN', STORAGE_ENGINES->>'$.InnoDB.LSN_checkpoint' " \
    "FROM performance_schema.log_status"

int log_status_report(struct client *client, const struct server *server,
                      const struct quiesced_host *host, uint64_t deadline)
{
    static const char *const keys[] = { "binlog-file", "binlog-position", "lsn", "lsn-checkpoint" };
    CLEANUP_ROWS struct client_rows *rows = NULL;
    const char *const *row;
    int r;

    if (server->flavour != SERVER_MYSQL || server->version < SERVER_VERSION(8u, 0u, 11u)) {
        return 0;
    }
    r = client_query(client, SQL, CLIENT_CANCELLABLE, deadline, &rows);
    if (r == -EREMOTEIO) {
        host->log(host, QUIESCED_DEBUG, "performance_schema.log_status is not read: %s",
                  client_error(client));
        return 0;
    }
    if (r < 0) {
        return r;
    }
    row = client_rows_next(rows);
    if (row == NULL || client_rows_width(rows) != sizeof(keys) / sizeof(keys[0])) {
        return 0;
    }
    for (unsigned int i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (row[i] != NULL && row[i][0] != '\0') {
            host->coordinate(host, keys[i], row[i]);
        }
    }
    return 0;
}
