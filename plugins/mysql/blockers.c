/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blockers.h"

/* What SHOW PROCESSLIST tells of a statement unless FULL is said */
#define SHORT_TEXT 100u

/* The columns that SHOW PROCESSLIST begins with on every server. MariaDB is asked for the
 * same ones, with the time in milliseconds, and for two more. */
enum {
    ID,
    USER,
    HOST,
    DB,
    COMMAND,
    TIME,
    STATE,
    INFO,
    COLUMNS,
    QUERY_ID = COLUMNS,
    LOCKS_ROWS, /* 1: a SELECT that locks what it reads */
};

#define SQL_MARIADB                                                                    \
    "SELECT ID, USER, HOST, DB, COMMAND, TIME_MS, STATE, LEFT(INFO, 1000), QUERY_ID, " \
    "INFO LIKE '%FOR UPDATE%' OR INFO LIKE '%IN SHARE MODE%' "                         \
    "FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID()"
#define SQL_MYSQL "SHOW PROCESSLIST"
#define SQL_MYSQL_FULL "SHOW FULL PROCESSLIST"

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

/* Past blanks, opening parentheses, and comments such as applications put there */
static const char *statement_begin(const char *text)
{
    for (;;) {
        const char *end;

        text += strspn(text, " \t\r\n(");
        if (text[0] != '/' || text[1] != '*' || text[2] == '!') {
            return text;
        }
        end = strstr(text + 2, "*/");
        if (end == NULL) {
            return text;
        }
        text = end + 2;
    }
}

/* MariaDB's lock does not wait for readers that lock nothing. */
static bool only_reads(const char *text, const char *locks_rows)
{
    static const char *const readers[] = { "SELECT", "SHOW", "EXPLAIN", "DESC",
                                           "VALUES", "HELP", NULL };

    if (locks_rows != NULL && strcmp(locks_rows, "1") == 0) {
        return false;
    }
    text = statement_begin(text);
    for (const char *const *reader = readers; *reader != NULL; reader++) {
        if (begins_with(text, *reader)) {
            return true;
        }
    }
    return false;
}

/*
 * SELECT SLEEP(9) and SELECT GET_LOCK('queue', 60), as job queues wait: no table is
 * open, so neither flavour's lock waits for them.
 */
static bool uses_no_table(const char *state, const char *text)
{
    if (strcasecmp(state, "User sleep") != 0 && strcasecmp(state, "User lock") != 0) {
        return false;
    }
    text = statement_begin(text);
    if (begins_with(text, "SELECT")) {
        text += strlen("SELECT");
    } else if (begins_with(text, "DO")) {
        text += strlen("DO");
    } else {
        return false;
    }
    text += strspn(text, " \t\r\n");
    return (begins_with(text, "SLEEP(") || begins_with(text, "GET_LOCK(")) &&
           strcasestr(text, "FROM") == NULL && strlen(text) < SHORT_TEXT / 2;
}

static bool is_blocker(const struct server *server, const char *const *row, unsigned int width)
{
    static const char *const idle[] = { "Sleep", "Daemon", NULL };
    static const char *const internal[] = { "system user", "event_scheduler",
                                            "unauthenticated user", NULL };
    /* States of those whom the lock, ours or another, holds up. Not "Waiting for table
     * metadata lock": such a statement may well be in the lock's way. */
    static const char *const victim[] = { "Waiting for backup lock", "Waiting for global read lock",
                                          "Waiting for commit lock", "Waiting for table flush",
                                          NULL };
    const char *state = row[STATE] != NULL ? row[STATE] : "";

    /* No text: no statement runs. Replication's threads and the event scheduler's
     * are always there; the lock does not wait for them for long. */
    if (row[ID] == NULL || row[USER] == NULL || row[COMMAND] == NULL || row[TIME] == NULL ||
        row[INFO] == NULL || one_of(row[COMMAND], idle) ||
        begins_with(row[COMMAND], "Binlog Dump") || one_of(row[USER], internal) ||
        one_of(state, victim) || uses_no_table(state, row[INFO])) {
        return false;
    }
    return server->flavour != SERVER_MARIADB ||
           !only_reads(row[INFO], width > LOCKS_ROWS ? row[LOCKS_ROWS] : NULL);
}

/* Cut to @max characters, none of them in two */
static void copy_text(const char *text, size_t max, char *ret, size_t size)
{
    size_t length = 0;

    while (text[length] != '\0' && length + 4 < size) {
        bool begins = ((unsigned char)text[length] & 0xc0u) != 0x80u;

        if (begins && max-- == 0) {
            break;
        }
        length++;
    }
    memcpy(ret, text, length);
    ret[length] = '\0';
}

/* -1: none that is known */
static int64_t age_of(const struct server *server, const char *text)
{
    if (text[0] == '-') {
        return -1;
    }
    return server->flavour == SERVER_MARIADB ? (int64_t)strtod(text, NULL)
                                             : (int64_t)strtoul(text, NULL, 10) * 1000;
}

static void blocker_fill(struct blocker *blocker, const struct server *server,
                         const struct policy *policy, const char *const *row, unsigned int width,
                         uint64_t age_ms)
{
    const char *query_id = width > QUERY_ID && row[QUERY_ID] != NULL ? row[QUERY_ID] : "";

    *blocker = (struct blocker){ .age_ms = age_ms };
    (void)snprintf(blocker->id, sizeof(blocker->id), "%.*s", (int)strspn(row[ID], "0123456789"),
                   row[ID]);
    (void)snprintf(blocker->query_id, sizeof(blocker->query_id), "%.*s",
                   (int)strspn(query_id, "0123456789"), query_id);
    (void)snprintf(blocker->user, sizeof(blocker->user), "%s", row[USER]);
    (void)snprintf(blocker->state, sizeof(blocker->state), "%s",
                   row[STATE] != NULL ? row[STATE] : "");
    if (server->flavour == SERVER_MARIADB) {
        (void)snprintf(blocker->age, sizeof(blocker->age), "%llu.%llu s",
                       (unsigned long long)age_ms / 1000u,
                       (unsigned long long)age_ms % 1000u / 100u);
    } else {
        (void)snprintf(blocker->age, sizeof(blocker->age), "%llu s",
                       (unsigned long long)age_ms / 1000u);
    }
    copy_text(row[INFO], policy->query_text, blocker->text, sizeof(blocker->text));
}

static void blockers_add(struct blockers *blockers, const struct blocker *blocker)
{
    size_t place = blockers->n;

    if (blockers->n == BLOCKERS_MAX) {
        blockers->more++;
        return;
    }
    blockers->list[blockers->n++] = *blocker;
    while (place > 0 && blockers->list[place - 1].age_ms < blocker->age_ms) {
        blockers->list[place] = blockers->list[place - 1];
        place--;
    }
    blockers->list[place] = *blocker;
}

int blockers_find(struct client *client, const struct server *server, const struct policy *policy,
                  enum client_wait wait, uint64_t deadline, struct blockers *ret)
{
    const char *sql = server->flavour == SERVER_MARIADB ? SQL_MARIADB
                      : policy->query_text > SHORT_TEXT ? SQL_MYSQL_FULL
                                                        : SQL_MYSQL;
    CLEANUP_ROWS struct client_rows *rows = NULL;
    const char *const *row;
    unsigned int width;
    int r;

    ret->n = 0;
    ret->more = 0;
    r = client_query(client, sql, wait, deadline, &rows);
    if (r < 0) {
        return r;
    }
    width = client_rows_width(rows);
    while (width >= COLUMNS && (row = client_rows_next(rows)) != NULL) {
        struct blocker blocker;
        int64_t age_ms;

        if (!is_blocker(server, row, width)) {
            continue;
        }
        age_ms = age_of(server, row[TIME]);
        if (age_ms > (int64_t)policy->long_query_ms) {
            blocker_fill(&blocker, server, policy, row, width, (uint64_t)age_ms);
            blockers_add(ret, &blocker);
        }
    }
    return (int)(ret->n + ret->more);
}

void blocker_describe(const struct blocker *blocker, char *ret, size_t size)
{
    (void)snprintf(ret, size, "statement %s of user '%s', running for %s in state '%s'%s%s%s",
                   blocker->id, blocker->user, blocker->age, blocker->state,
                   blocker->text[0] != '\0' ? ": " : "", blocker->text,
                   blocker->text[0] != '\0' ? "..." : "");
}

void blockers_describe(const struct blockers *blockers, char *ret, size_t size)
{
    size_t more = blockers->n - 1 + blockers->more;
    size_t used;

    blocker_describe(&blockers->list[0], ret, size);
    used = strlen(ret);
    if (more > 0) {
        (void)snprintf(ret + used, size - used, " (and %zu more)", more);
    }
}
