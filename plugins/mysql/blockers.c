/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blockers.h"

/* Whole seconds between two readings of a clock: 1 may be a few milliseconds. */
#define OLD_SECONDS 2u

/* The columns that SHOW PROCESSLIST begins with on every server */
enum {
    ID,
    USER,
    HOST,
    DB,
    COMMAND,
    TIME,
    STATE,
    INFO,
    COLUMNS
};

static bool one_of(const char *text, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (strcasecmp(text, *names) == 0) {
            return true;
        }
    }
    return false;
}

static bool begins_with(const char *text, const char *word)
{
    return strncasecmp(text, word, strlen(word)) == 0;
}

static bool is_blocker(const struct server *server, const char *const *row)
{
    static const char *const idle[] = { "Sleep", "Daemon", NULL };
    static const char *const internal[] = { "system user", "event_scheduler",
                                            "unauthenticated user", NULL };
    /* States of those whom the lock, ours or another, holds up. Not "Waiting for table
     * metadata lock": such a statement may well be in the lock's way. */
    static const char *const victim[] = { "Waiting for backup lock", "Waiting for global read lock",
                                          "Waiting for commit lock", "Waiting for table flush",
                                          NULL };

    /* No text: no statement runs. Replication's threads and the event scheduler's
     * are always there; the lock does not wait for them for long. */
    if (row[ID] == NULL || row[USER] == NULL || row[COMMAND] == NULL || row[TIME] == NULL ||
        row[INFO] == NULL || one_of(row[COMMAND], idle) ||
        begins_with(row[COMMAND], "Binlog Dump") || one_of(row[USER], internal)) {
        return false;
    }
    if (one_of(row[STATE] != NULL ? row[STATE] : "", victim)) {
        return false;
    }
    /* MariaDB's lock does not wait for readers, and both let each other pass. */
    return server->flavour != SERVER_MARIADB ||
           !(begins_with(row[INFO], "SELECT") || begins_with(row[INFO], "SHOW"));
}

static void blockers_copy(const char *const *row, unsigned long seconds, struct blocker *ret)
{
    (void)snprintf(ret->id, sizeof(ret->id), "%s", row[ID]);
    (void)snprintf(ret->user, sizeof(ret->user), "%s", row[USER]);
    (void)snprintf(ret->state, sizeof(ret->state), "%s", row[STATE] != NULL ? row[STATE] : "");
    ret->seconds = seconds;
}

int blockers_find(struct client *client, const struct server *server, enum client_wait wait,
                  uint64_t deadline, struct blocker *ret_blocker)
{
    CLEANUP_ROWS struct client_rows *rows = NULL;
    unsigned long oldest = 0;
    const char *const *row;
    int r;

    r = client_query(client, "SHOW PROCESSLIST", wait, deadline, &rows);
    if (r < 0) {
        return r;
    }
    while (client_rows_width(rows) >= COLUMNS && (row = client_rows_next(rows)) != NULL) {
        unsigned long seconds;

        if (!is_blocker(server, row) || row[TIME][0] == '-') {
            continue;
        }
        seconds = strtoul(row[TIME], NULL, 10);
        if (seconds >= OLD_SECONDS && seconds > oldest) {
            oldest = seconds;
            blockers_copy(row, seconds, ret_blocker);
        }
    }
    return oldest > 0 ? 1 : 0;
}

void blockers_describe(const struct blocker *blocker, char *ret, size_t size)
{
    (void)snprintf(ret, size, "statement %s of user '%s', running for %lu s in state '%s'",
                   blocker->id, blocker->user, blocker->seconds, blocker->state);
}
