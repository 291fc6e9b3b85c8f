/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake_libpq.h: a libpq that plays a script
 *
 * A test says beforehand which calls it expects, in their order, and what comes of
 * each. A call that differs fails the test at once, and fake_end() fails it when a
 * call was not made, or when the session, a result or a request to cancel was left
 * open. Connection strings are taken apart by the real library.
 *
 * Also watched: nothing of anybody's home is looked for, the session is made
 * non-blocking, and the library is asked to read only when there is something.
 */
#ifndef QUIESCED_TESTS_FAKE_LIBPQ_H
#define QUIESCED_TESTS_FAKE_LIBPQ_H

void fake_begin(void);
void fake_end(void);

/* What the connection says of the server: 150018 and 4711 unless said otherwise */
void fake_server(int version, int pid);

/* @who is "user@host:port/dbname", with ":password" after the user. */
void fake_connect(const char *who);
void fake_connect_fails(const char *who, const char *text);
/* Nobody answers. */
void fake_connect_silent(const char *who);

/* @sql with a * at its end is the beginning of a statement. @rows: columns are parted by |,
 * rows by line feeds, and "NULL" is NULL. A NULL pointer: no rows, as of CHECKPOINT. */
void fake_query(const char *sql, const char *rows);
void fake_query_fails(const char *sql, const char *state, const char *text);
/* The server says @text, if that is not NULL, and hangs up. */
void fake_query_lost(const char *sql, const char *text);
/* It cannot even be sent. */
void fake_query_unsent(const char *sql, const char *text);
/* No answer ever comes. */
void fake_query_silent(const char *sql);
void fake_cancel(void);
void fake_close(void);

/* Is called when the last expected call is made. */
void fake_then(void (*call)(void));

/* A parameter of the last connection, or NULL */
const char *fake_param(const char *key);

#endif
