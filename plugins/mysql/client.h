/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.h: all of the client library that the plugin uses
 *
 * libmariadb and Oracle's libmysqlclient alike. Nothing outside client.c
 * includes mysql.h, so that a test can put a scripted library in its place.
 *
 * A statement is sent, the socket is polled up to the deadline, and only then
 * is the answer read: neither library has a call that waits up to a deadline
 * that both know. What is left is a server that stalls in the middle of an
 * answer; there the library's read time-out, whole seconds from the deadline of
 * client_connect(), and at last the worker's own end bound the wait.
 *
 * A statement that was given up leaves the session busy: it is good for
 * client_close() alone.
 */
#ifndef MYSQL_CLIENT_H
#define MYSQL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "quiesced-plugin.h"

struct client;
struct client_rows;

enum client_tls {
    CLIENT_TLS_OFF,
    CLIENT_TLS_ENCRYPT, /* whoever answers */
    CLIENT_TLS_VERIFY,  /* by certificate and name */
};

/* Where to connect and as whom. Strings stay with the caller. */
struct client_target {
    const char *socket; /* or NULL: TCP to @host and @port */
    const char *host;
    unsigned int port;
    const char *user;
    const char *password; /* or NULL */
    enum client_tls tls;  /* only over TCP */
    const char *tls_ca;   /* files, or NULL */
    const char *tls_cert;
    const char *tls_key;
};

enum client_wait {
    CLIENT_CANCELLABLE, /* -ECANCELED when the callback is not wanted */
    CLIENT_FIRM,        /* for what lets go: only the deadline counts */
};

/* No connection yet. client_free() closes it and takes NULL. */
int client_create(const struct quiesced_host *host, struct client **ret);
struct client *client_free(struct client *client);

/* -EREMOTEIO: see client_code() and client_error(). The socket is close-on-exec. */
int client_connect(struct client *client, const struct client_target *target, uint64_t deadline);

/*
 * Runs one statement. *ret_rows, which may be NULL, is the result; a statement
 * without one yields no rows.
 *   -EREMOTEIO   the server refused it: client_code(), client_error()
 *   -ENOTCONN    the session is lost and closed, or was never there
 *   -ETIMEDOUT   no answer by @deadline; the session is busy now
 *   -ECANCELED   not wanted any more; the session is busy now
 *   -EBUSY       the session is busy with an earlier statement
 *   -ENOMEM
 */
int client_query(struct client *client, const char *sql, enum client_wait wait, uint64_t deadline,
                 struct client_rows **ret_rows);

/* Ends the connection without waiting for anybody; what was locked is let go. */
void client_close(struct client *client);

bool client_is_open(const struct client *client);
/* A statement was sent, and its answer was not awaited. */
bool client_is_busy(const struct client *client);
/* -1 when there is no connection */
int client_fd(const struct client *client);

/* Why the last call failed: the error number of server or library, or 0, and
 * "the words (number)". Valid until the next call. */
unsigned int client_code(const struct client *client);
const char *client_error(const struct client *client);

/* The next row, NULL at the end. A NULL value is a NULL pointer. */
const char *const *client_rows_next(struct client_rows *rows);
unsigned int client_rows_width(const struct client_rows *rows);
/* The number of the column @name, or -1 */
int client_rows_column(const struct client_rows *rows, const char *name);
struct client_rows *client_rows_free(struct client_rows *rows);

static inline void client_rows_cleanup(struct client_rows **rows)
{
    (void)client_rows_free(*rows);
}

/* Freed at the end of the scope. */
#define CLEANUP_ROWS __attribute__((cleanup(client_rows_cleanup)))

/* The server's error numbers that have a meaning here */
#define CLIENT_E_TOO_MANY_CONNECTIONS 1040u
#define CLIENT_E_ACCESS_DENIED 1045u
#define CLIENT_E_PARSE 1064u
#define CLIENT_E_NO_SUCH_THREAD 1094u
#define CLIENT_E_KILL_DENIED 1095u
#define CLIENT_E_TABLE_DENIED 1142u
#define CLIENT_E_NO_SUCH_TABLE 1146u
#define CLIENT_E_UNKNOWN_VARIABLE 1193u
#define CLIENT_E_LOCK_WAIT_TIMEOUT 1205u
#define CLIENT_E_PRIVILEGE 1227u
#define CLIENT_E_INTERRUPTED 1317u
#define CLIENT_E_SOCKET_AUTH_DENIED 1698u
#define CLIENT_E_NO_SUCH_QUERY 1957u
#define CLIENT_E_STATEMENT_TIMEOUT 1969u
/* and the library's */
#define CLIENT_E_NO_SOCKET 2002u
#define CLIENT_E_NO_HOST 2003u

#endif
