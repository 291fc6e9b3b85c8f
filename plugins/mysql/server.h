/* SPDX-License-Identifier: GPL-2.0-or-later */
/* server.h: which server answers, and what it calls us */
#ifndef MYSQL_SERVER_H
#define MYSQL_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client.h"

enum server_flavour {
    SERVER_MYSQL,
    SERVER_MARIADB,
};

/* 10.5.2 as a number */
#define SERVER_VERSION(major, minor, patch) ((major)*10000u + (minor)*100u + (patch))

struct server {
    enum server_flavour flavour;
    unsigned int version;   /* SERVER_VERSION() */
    char name[64];          /* "MariaDB 10.11.19" */
    char account[320];      /* 'quiesced'@'localhost', as GRANT wants it */
    char identity[80];      /* server_uuid or server_uid, "" if it has none */
    bool binlog;            /* it writes a binary log */
    bool redo_is_lazy;      /* innodb_flush_log_at_trx_commit is 0 */
    bool is_replica;        /* it has executed a primary's GTIDs, MariaDB's */
    bool new_binlog_status; /* SHOW BINARY LOG STATUS, not SHOW MASTER STATUS */
};

/* Asks the server. 0, or what client_query() returned; -EPROTO when the answer
 * has not the form of one. */
int server_identify(struct client *client, uint64_t deadline, struct server *ret);

/* Fills in flavour, version and name from VERSION() and @@version_comment. */
void server_parse_version(const char *version, const char *comment, struct server *ret);
/* "user@host" of CURRENT_USER(), quoted for a statement; false if it does not fit. */
bool server_quote_account(const char *account, char *ret, size_t size);

#endif
