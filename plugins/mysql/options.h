/* SPDX-License-Identifier: GPL-2.0-or-later */
/* options.h: the plugin's keys, each handed to the part that it is about */
#ifndef MYSQL_OPTIONS_H
#define MYSQL_OPTIONS_H

#include "address.h"
#include "client.h"
#include "login.h"
#include "policy.h"
#include "quiesced-plugin.h"
#include "tls.h"

struct options {
    struct address address;
    struct login login;
    struct tls tls;
    struct policy policy;
};

extern const struct quiesced_option options_table[];

void options_init(struct options *options);
void options_clear(struct options *options);

/* Takes one option. What is wrong is told to @host. */
int options_set(struct options *options, const struct quiesced_host *host, const char *key,
                const char *value);
/* Do the options fit together? Fills in what was not given, and reads the files. */
int options_complete(struct options *options, const struct quiesced_host *host);

/* Its strings stay those of @options. */
struct client_target options_target(const struct options *options);

#endif
