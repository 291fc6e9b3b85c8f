/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tls.h: whether and how a TCP connection is encrypted, as configured */
#ifndef MYSQL_TLS_H
#define MYSQL_TLS_H

#include <stdbool.h>

#include "client.h"
#include "defaults.h"
#include "quiesced-plugin.h"

enum tls_file {
    TLS_CA,
    TLS_CERT,
    TLS_KEY,
    TLS_FILES,
};

struct tls {
    enum client_tls mode;
    bool mode_given;
    char *paths[TLS_FILES];    /* NULL: not given */
    int fds[TLS_FILES];        /* -1: not open */
    char names[TLS_FILES][32]; /* of the descriptors, for the library */
};

void tls_init(struct tls *tls);
int tls_set_mode(struct tls *tls, const struct quiesced_host *host, const char *value);
int tls_set_file(struct tls *tls, const struct quiesced_host *host, enum tls_file file,
                 const char *value);

/* Where the connection goes */
enum tls_way {
    TLS_OVER_SOCKET,
    TLS_OVER_LOOPBACK,
    TLS_OVER_NETWORK,
};

/* Do the keys fit together, and may the files be trusted? Opens these: a library
 * that opens them by name would open whatever stands there by then. */
int tls_complete(struct tls *tls, const struct quiesced_host *host, enum tls_way way,
                 const struct defaults *defaults);
void tls_clear(struct tls *tls);

/* What the library is to open, or NULL */
const char *tls_name(const struct tls *tls, enum tls_file file);

#endif
