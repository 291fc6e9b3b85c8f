/* SPDX-License-Identifier: GPL-2.0-or-later */
/* address.h: the plugin's options, checked: where the server is, and whose login */
#ifndef MYSQL_ADDRESS_H
#define MYSQL_ADDRESS_H

#include <stdbool.h>

#include "client.h"
#include "quiesced-plugin.h"

/* Oracle's packages and most distributions have it there. */
#ifndef MYSQL_SOCKET_DEFAULT
#define MYSQL_SOCKET_DEFAULT "/run/mysqld/mysqld.sock"
#endif
#define MYSQL_PORT_DEFAULT 3306u

struct address {
    char *socket;
    char *host;
    unsigned int port; /* 0: not given */
    char *user;
    char *password;
    bool remote;
    char text[300]; /* "'/run/mysqld/mysqld.sock'", for messages */
};

extern const struct quiesced_option address_options[];

/* Takes one option. What is wrong is told to @host. */
int address_set(struct address *address, const struct quiesced_host *host, const char *key,
                const char *value);
/* Do the options fit together? Fills in what was not given. */
int address_complete(struct address *address, const struct quiesced_host *host);
/* Frees the strings; the password is overwritten first. */
void address_clear(struct address *address);

struct client_target address_target(const struct address *address);

#endif
