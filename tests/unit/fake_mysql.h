/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake_mysql.h: a client library that plays a script
 *
 * A test says beforehand which calls it expects, in their order, and what comes of
 * each. A call that differs fails the test at once, and fake_end() fails it when a
 * call was not made, or when a session or a result was left open. Sessions are
 * numbered from 1 in the order of mysql_init().
 *
 * Also watched: no option file is asked for, LOCAL INFILE is off, reconnecting is
 * not switched on, each time-out is set, and the socket is close-on-exec before the
 * first statement.
 */
#ifndef QUIESCED_TESTS_FAKE_MYSQL_H
#define QUIESCED_TESTS_FAKE_MYSQL_H

void fake_begin(void);
void fake_end(void);

/* @who is "user@/path" or "user@host:port", with ":password" after the user, and
 * " encrypted" or " verified" and "+FILE" for each file of TLS after the port. */
void fake_connect(unsigned int session, const char *who);
void fake_connect_fails(unsigned int session, const char *who, unsigned int code, const char *text);

/* @rows: columns are parted by |, rows by line feeds, and "NULL" is NULL. A first row
 * that begins with # has the columns' names. A NULL pointer: the statement has no
 * result. */
void fake_query(unsigned int session, const char *sql, const char *rows);
/* Code 2006 fails while sending, any other while reading. */
void fake_query_fails(unsigned int session, const char *sql, unsigned int code, const char *text);
/* No answer ever comes. */
void fake_query_silent(unsigned int session, const char *sql);
void fake_close(unsigned int session);

/* Is called when the last expected call is made. */
void fake_then(void (*call)(void));

#endif
