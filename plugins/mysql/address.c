/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "address.h"

#define PORT_MAX 65535u
#define HOST_MAX 255u

const struct quiesced_option address_options[] = {
    { .key = "socket",
      .help = "The server's socket, an absolute path (" MYSQL_SOCKET_DEFAULT
              " unless host is given)." },
    { .key = "host", .help = "The server's name or address, to use TCP instead." },
    { .key = "port", .help = "The server's TCP port (3306)." },
    { .key = "user",
      .help = "The database user (the name of the system user that runs the worker)." },
    { .key = "password", .help = "The database user's password.", .flags = QUIESCED_OPTION_SECRET },
    { .key = "remote", .help = "May the host be another machine? yes or no.", .initial = "no" },
    { .key = NULL },
};

static int address_copy(char **string, const char *value)
{
    char *copy = strdup(value);

    if (copy == NULL) {
        return -ENOMEM;
    }
    free(*string);
    *string = copy;
    return 0;
}

static int address_set_socket(struct address *address, const struct quiesced_host *host,
                              const char *value)
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
    return address_copy(&address->socket, value);
}

static int address_set_host(struct address *address, const struct quiesced_host *host,
                            const char *value)
{
    /* libmariadb takes lists of hosts and names of connection plugins as well. */
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%";

    if (value[0] == '\0' || strlen(value) > HOST_MAX || value[strspn(value, allowed)] != '\0') {
        host->error(host, "host = '%s' is neither a name nor an address", value);
        return -EINVAL;
    }
    return address_copy(&address->host, value);
}

static int address_set_port(struct address *address, const struct quiesced_host *host,
                            const char *value)
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

int address_set(struct address *address, const struct quiesced_host *host, const char *key,
                const char *value)
{
    if (strcmp(key, "socket") == 0) {
        return address_set_socket(address, host, value);
    }
    if (strcmp(key, "host") == 0) {
        return address_set_host(address, host, value);
    }
    if (strcmp(key, "port") == 0) {
        return address_set_port(address, host, value);
    }
    if (strcmp(key, "user") == 0) {
        if (value[0] == '\0') {
            host->error(host, "user is empty");
            return -EINVAL;
        }
        return address_copy(&address->user, value);
    }
    if (strcmp(key, "password") == 0) {
        return address_copy(&address->password, value);
    }
    if (strcmp(key, "remote") == 0) {
        if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0) {
            host->error(host, "remote = '%s' is neither yes nor no", value);
            return -EINVAL;
        }
        address->remote = strcmp(value, "yes") == 0;
        return 0;
    }
    host->error(host, "'%s' is not an option of this plugin", key);
    return -EINVAL;
}

/* Without asking a resolver: a name other than localhost may lead anywhere. */
static bool address_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (strcmp(host, "localhost") == 0) {
        return true;
    }
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
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
    if (address->host != NULL && !address->remote && !address_is_loopback(address->host)) {
        host->error(host,
                    "host = '%s' is not this machine's loopback: that needs "
                    "remote = yes here, and a drop-in for quiesced.service that allows "
                    "the address (IPAddressAllow=)",
                    address->host);
        return -EINVAL;
    }
    return 0;
}

/* Peer authentication knows the client by the name of its system user. */
static int address_default_user(struct address *address, const struct quiesced_host *host)
{
    char buffer[4096];
    struct passwd passwd;
    struct passwd *found = NULL;
    int r = getpwuid_r(geteuid(), &passwd, buffer, sizeof(buffer), &found);

    if (r != 0 || found == NULL) {
        host->error(host, "user is not given, and the system user %u has no name: %s",
                    (unsigned int)geteuid(), r != 0 ? strerror(r) : "there is none");
        return r != 0 ? -r : -ENOENT;
    }
    return address_copy(&address->user, found->pw_name);
}

int address_complete(struct address *address, const struct quiesced_host *host)
{
    int r = address_check_host(address, host);

    if (r < 0) {
        return r;
    }
    if (address->host == NULL && address->socket == NULL) {
        r = address_copy(&address->socket, MYSQL_SOCKET_DEFAULT);
        if (r < 0) {
            return r;
        }
    }
    if (address->host != NULL && address->port == 0) {
        address->port = MYSQL_PORT_DEFAULT;
    }
    if (address->user == NULL) {
        r = address_default_user(address, host);
        if (r < 0) {
            return r;
        }
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
    if (address->password != NULL) {
        explicit_bzero(address->password, strlen(address->password));
    }
    free(address->socket);
    free(address->host);
    free(address->user);
    free(address->password);
    *address = (struct address){ .port = 0 };
}

struct client_target address_target(const struct address *address)
{
    return (struct client_target){
        .socket = address->socket,
        .host = address->host,
        .port = address->port,
        .user = address->user,
        .password = address->password,
    };
}
