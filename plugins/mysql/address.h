/* SPDX-License-Identifier: GPL-2.0-or-later */
/* address.h: where the server is, as configured */
#ifndef MYSQL_ADDRESS_H
#define MYSQL_ADDRESS_H

#include <stdbool.h>

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
    bool remote;
    char text[300]; /* "'/run/mysqld/mysqld.sock'", for messages */
};

/* Each takes the value of the key of that name. What is wrong is told to @host. */
int address_set_socket(struct address *address, const struct quiesced_host *host,
                       const char *value);
int address_set_host(struct address *address, const struct quiesced_host *host, const char *value);
int address_set_port(struct address *address, const struct quiesced_host *host, const char *value);
int address_set_remote(struct address *address, const struct quiesced_host *host,
                       const char *value);

/* Do they fit together? Fills in what was not given: @socket, which may be NULL, or the
 * usual one. */
int address_complete(struct address *address, const struct quiesced_host *host, const char *socket);
void address_clear(struct address *address);

/* Without asking a resolver: a name other than localhost may lead anywhere. */
bool address_is_loopback(const struct address *address);

#endif
