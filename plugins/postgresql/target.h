/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * target.h: the options that say where the server is, and whose login, made into the
 * parameters of one connection
 */
#ifndef POSTGRESQL_TARGET_H
#define POSTGRESQL_TARGET_H

#include <stdbool.h>

#include "client.h"
#include "quiesced-plugin.h"

/* Debian, Fedora and RHEL have it there. */
#ifndef POSTGRESQL_SOCKET_DEFAULT
#define POSTGRESQL_SOCKET_DEFAULT "/run/postgresql"
#endif

#define TARGET_PARAMS 48

struct target {
    char *conninfo;
    char *password;
    char *password_file;
    char *service_file;
    bool remote;

    /* From here on as target_complete() found it */
    struct client_param params[TARGET_PARAMS + 1]; /* ends with a NULL key */
    bool is_here;                                  /* this machine's: its files are to be seen */
    char text[300]; /* "'/run/postgresql' port 5432 as 'quiesced'", for messages */
};

/* Takes one option. What is wrong is told to @host. */
int target_set(struct target *target, const struct quiesced_host *host, const char *key,
               const char *value);
/* Do the options fit together? Makes the parameters, and reads the files that are named. */
int target_complete(struct target *target, const struct quiesced_host *host);
/* Frees the strings; passwords are overwritten first. */
void target_clear(struct target *target);

#endif
