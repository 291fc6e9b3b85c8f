/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "redo.h"
#include "rights.h"

#define POLL_MS 5
/* With less left, another look would be late, and the reason would be lost. */
#define LEAST_MS 20u

struct lsn {
    bool known; /* false: no InnoDB, or one that does not tell */
    unsigned long long current;
    unsigned long long flushed;
};

static int redo_is_lazy(struct client *client, uint64_t deadline, bool *ret)
{
    CLEANUP_ROWS struct client_rows *rows = NULL;
    const char *const *row;
    int r;

    r = client_query(client, "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit", CLIENT_CANCELLABLE,
                     deadline, &rows);
    if (r == -EREMOTEIO && client_code(client) == CLIENT_E_UNKNOWN_VARIABLE) {
        *ret = false;
        return 0;
    }
    if (r < 0) {
        return r;
    }
    row = client_rows_next(rows);
    *ret = row != NULL && row[0] != NULL && strcmp(row[0], "0") == 0;
    return 0;
}

static int read_lsn(struct client *client, uint64_t deadline, struct lsn *ret)
{
    CLEANUP_ROWS struct client_rows *rows = NULL;
    struct lsn lsn = { .known = false };
    const char *const *row;
    unsigned int found = 0;
    int r;

    r = client_query(client,
                     "SHOW GLOBAL STATUS WHERE Variable_name IN "
                     "('Innodb_lsn_current', 'Innodb_lsn_flushed')",
                     CLIENT_CANCELLABLE, deadline, &rows);
    if (r < 0) {
        return r;
    }
    while (client_rows_width(rows) >= 2 && (row = client_rows_next(rows)) != NULL) {
        if (row[0] == NULL || row[1] == NULL) {
            continue;
        }
        if (strcasecmp(row[0], "Innodb_lsn_current") == 0) {
            lsn.current = strtoull(row[1], NULL, 10);
            found++;
        } else if (strcasecmp(row[0], "Innodb_lsn_flushed") == 0) {
            lsn.flushed = strtoull(row[1], NULL, 10);
            found++;
        }
    }
    lsn.known = found == 2;
    *ret = lsn;
    return 0;
}

/* MariaDB writes the buffer out once a second; no statement makes it do so. Purge
 * moves the current end on, so the end as it was under the lock is what counts. */
static int await_lsn(const struct quiesced_host *host, struct client *client, uint64_t deadline)
{
    unsigned long long target = 0;

    for (;;) {
        struct pollfd cancel = { .fd = host->cancel_fd(host), .events = POLLIN };
        struct lsn lsn;
        int r = read_lsn(client, deadline, &lsn);

        if (r < 0) {
            return r;
        }
        if (target == 0) {
            target = lsn.current;
        }
        if (!lsn.known || lsn.flushed >= target) {
            return 0;
        }
        if (host->left_ms(host, deadline) < LEAST_MS) {
            return -ETIME;
        }
        if (poll(&cancel, 1, POLL_MS) > 0) {
            return -ECANCELED;
        }
    }
}

static void redo_explain(const struct quiesced_host *host, const struct client *client,
                         const struct server *server, enum policy_blockers blockers, int r)
{
    struct server lazy = *server;
    char statement[512];

    lazy.redo_is_lazy = true;
    if (r == -ETIME) {
        host->error(host, "acknowledged commits are not on the disk in time: "
                          "innodb_flush_log_at_trx_commit is 0, and Innodb_lsn_flushed has "
                          "not reached the end of the log as it was under the lock");
    } else if (r == -EREMOTEIO && client_code(client) == CLIENT_E_PRIVILEGE) {
        rights_statement(&lazy, blockers, statement, sizeof(statement));
        host->error(host,
                    "cannot write out the redo log, as "
                    "innodb_flush_log_at_trx_commit = 0 demands: %s; grant it: %s",
                    client_error(client), statement);
    } else {
        host->error(host, "cannot make sure that the redo log is written: %s",
                    client_error(client));
    }
}

int redo_flush(const struct quiesced_host *host, struct client *client, const struct server *server,
               enum policy_blockers blockers, uint64_t deadline)
{
    bool lazy = false;
    int r = redo_is_lazy(client, deadline, &lazy);

    if (r == 0 && lazy) {
        r = server->flavour == SERVER_MARIADB ? await_lsn(host, client, deadline)
                                              : client_query(client, "FLUSH LOCAL ENGINE LOGS",
                                                             CLIENT_CANCELLABLE, deadline, NULL);
    }
    if (r < 0 && r != -ECANCELED) {
        redo_explain(host, client, server, blockers, r);
    }
    return r;
}
