/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.h: all of libpq that the plugin uses
 *
 * Nothing outside client.c includes libpq-fe.h, so that a test can put a scripted
 * library in its place. No call here waits inside the library: it sends and reads
 * what the socket has, and the waiting is done here, up to the deadline. There are two
 * exceptions: a host that is a name is looked up by the system's resolver, and
 * client_cancel(), see there.
 *
 * A statement that was given up leaves the session busy: it is good for
 * client_close() alone.
 */
#ifndef POSTGRESQL_CLIENT_H
#define POSTGRESQL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "quiesced-plugin.h"

struct client;
struct client_rows;

/* One connection parameter, as libpq names it */
struct client_param {
    char *key;
    char *value;
};

enum client_secrecy {
    CLIENT_OPEN,
    CLIENT_SECRET, /* a password, or something like it */
};

/*
 * Takes a connection string apart, keywords and values or a URI, and calls @take for
 * each parameter that it has; a @take that fails ends it. Looks into no environment and
 * no file. -EINVAL when it is none: then *ret_why, to be freed, may be why.
 */
int client_parse(const char *conninfo,
                 int (*take)(void *data, const char *key, const char *value,
                             enum client_secrecy secrecy),
                 void *data, char **ret_why);

/* No connection yet. client_free() closes it and takes NULL. */
int client_create(const struct quiesced_host *host, struct client **ret);
struct client *client_free(struct client *client);

/* @params ends with a NULL key. -EREMOTEIO: see client_error(). -ETIMEDOUT, -ECANCELED,
 * -ENOMEM. The socket is close-on-exec. */
int client_connect(struct client *client, const struct client_param *params, uint64_t deadline);

/*
 * Runs one statement. *ret_rows, which may be NULL, is the result; a statement
 * without one yields no rows.
 *   -EREMOTEIO   the server refused it: client_state(), client_error()
 *   -ENOTCONN    the session is lost and closed, or was never there
 *   -ETIMEDOUT   no answer by @deadline; the session is busy now
 *   -ECANCELED   not wanted any more; the session is busy now
 *   -EBUSY       the session is busy with an earlier statement
 *   -ENOMEM
 */
int client_query(struct client *client, const char *sql, uint64_t deadline,
                 struct client_rows **ret_rows);

/*
 * Asks the server to end the statement that the session is busy with. That is a
 * connection of its own, and libpq before version 17 waits for it without any limit: so
 * it is for abort() alone, where the reason was told already and the worker's end bounds
 * the wait.
 */
void client_cancel(struct client *client);

/* Ends the connection without waiting for anybody. */
void client_close(struct client *client);

bool client_is_open(const struct client *client);
/* A statement was sent, and its answer was not awaited. */
bool client_is_busy(const struct client *client);
/* -1 when there is no connection */
int client_fd(const struct client *client);
/* What the connection says of the server: 150018 for 15.18, and the backend's pid */
int client_version(const struct client *client);
int client_pid(const struct client *client);

/* Why the last call failed: the server's SQLSTATE or "", and one line. Valid until the
 * next call. */
const char *client_state(const struct client *client);
const char *client_error(const struct client *client);

unsigned int client_rows_count(const struct client_rows *rows);
unsigned int client_rows_width(const struct client_rows *rows);
/* NULL for a NULL */
const char *client_rows_get(const struct client_rows *rows, unsigned int row, unsigned int column);
struct client_rows *client_rows_free(struct client_rows *rows);

static inline void client_rows_cleanup(struct client_rows **rows)
{
    (void)client_rows_free(*rows);
}

/* Freed at the end of the scope. */
#define CLEANUP_ROWS __attribute__((cleanup(client_rows_cleanup)))

/* The SQLSTATEs that have a meaning here */
#define CLIENT_E_PRIVILEGE "42501"
#define CLIENT_E_QUERY_CANCELED "57014"
#define CLIENT_E_INTERNAL "XX000"

#endif
