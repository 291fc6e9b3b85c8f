/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "address.h"
#include "text.h"

#define PORT_MAX 65535u
#define HOST_MAX 255u

int address_set_socket(struct address *address, const struct quiesced_host *host, const char *value)
{
    /* libmariadb copies the path into a sockaddr_un without looking. */
    const size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

    if (value[0] != '/') {
        host->error(host, "socket = '%s' is not an absolute path", value);
        return -EINVAL;
    }
    if (strlen(value) > max) {
        host->error(host,
                    "socket = '%s' is longer than the %zu bytes that a socket's "
                    "path may have",
                    value, max);
        return -EINVAL;
    }
    return text_replace(&address->socket, host, value);
}

int address_set_host(struct address *address, const struct quiesced_host *host, const char *value)
{
    /* libmariadb takes lists of hosts and names of connection plugins as well. */
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%";

    if (value[0] == '\0' || strlen(value) > HOST_MAX || value[strspn(value, allowed)] != '\0') {
        host->error(host, "host = '%s' is neither a name nor an address", value);
        return -EINVAL;
    }
    return text_replace(&address->host, host, value);
}

int address_set_port(struct address *address, const struct quiesced_host *host, const char *value)
{
    unsigned long port = 0;
    char *end = NULL;

    if (value[0] >= '0' && value[0] <= '9') {
        errno = 0;
        port = strtoul(value, &end, 10);
    }
    if (end == NULL || errno != 0 || *end != '\0' || port == 0 || port > PORT_MAX) {
        host->error(host, "port = '%s' is not a number from 1 to %u", value, PORT_MAX);
        return -EINVAL;
    }
    address->port = (unsigned int)port;
    return 0;
}

int address_set_remote(struct address *address, const struct quiesced_host *host, const char *value)
{
    if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0) {
        host->error(host, "remote = '%s' is neither yes nor no", value);
        return -EINVAL;
    }
    address->remote = strcmp(value, "yes") == 0;
    return 0;
}

bool address_is_loopback(const struct address *address)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (address->host == NULL || strcmp(address->host, "localhost") == 0) {
        return true;
    }
    if (inet_pton(AF_INET, address->host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    return inet_pton(AF_INET6, address->host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static int address_check_host(const struct address *address, const struct quiesced_host *host)
{
    if (address->host == NULL && address->port != 0) {
        host->error(host, "port is of use with host only, which is not given");
        return -EINVAL;
    }
    if (address->host != NULL && address->socket != NULL) {
        host->error(host, "socket and host exclude each other");
        return -EINVAL;
    }
    if (!address->remote && !address_is_loopback(address)) {
        host->error(host,
                    "host = '%s' is not this machine's loopback: that needs "
                    "remote = yes here, and a drop-in for quiesced.service that allows "
                    "the address (IPAddressAllow=)",
                    address->host);
        return -EINVAL;
    }
    return 0;
}

int address_complete(struct address *address, const struct quiesced_host *host, const char *socket)
{
    int r = address_check_host(address, host);

    if (r == 0 && address->host == NULL && address->socket == NULL) {
        r = address_set_socket(address, host, socket != NULL ? socket : MYSQL_SOCKET_DEFAULT);
    }
    if (r < 0) {
        return r;
    }
    if (address->host != NULL && address->port == 0) {
        address->port = MYSQL_PORT_DEFAULT;
    }
    if (address->socket != NULL) {
        (void)snprintf(address->text, sizeof(address->text), "'%s'", address->socket);
    } else {
        (void)snprintf(address->text, sizeof(address->text), "'%s' port %u", address->host,
                       address->port);
    }
    return 0;
}

void address_clear(struct address *address)
{
    free(address->socket);
    free(address->host);
    *address = (struct address){ .port = 0 };
}
