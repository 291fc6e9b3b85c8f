/* SPDX-License-Identifier: GPL-2.0-or-later */
/* client.h: the calls of quiesced that a subcommand makes */
#ifndef QUIESCED_CTL_CLIENT_H
#define QUIESCED_CTL_CLIENT_H

#include <json-c/json.h>

#include "util.h"
#include "wire.h"

#define CLIENT_USEC (10 * USEC_PER_SEC) /* for the whole call */

/* Exit statuses, as in quiescectl(8) */
enum {
    CLIENT_FAILED = 1,
    CLIENT_USAGE = 2,
};

/* To the daemon of QUIESCED_RUNTIME_DIR. 0, or -errno after one line on stderr. */
int client_open(uint64_t deadline, struct wire_client *ret_client);
/* Calls io.quiesced.@method; @parameters (may be NULL) is taken over. As above. */
int client_ask(struct wire_client *client, const char *method, json_object *parameters,
               uint64_t deadline, json_object **ret_parameters);
/* Both, for a single call within CLIENT_USEC. */
int client_call(const char *method, json_object *parameters, json_object **ret_parameters);

#endif
