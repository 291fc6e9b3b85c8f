/* SPDX-License-Identifier: GPL-2.0-or-later */
/* client.h: one call of quiesced for one subcommand */
#ifndef QUIESCED_CTL_CLIENT_H
#define QUIESCED_CTL_CLIENT_H

#include <json-c/json.h>

#define CLIENT_USEC (10 * USEC_PER_SEC) /* for the whole call */

/* Exit statuses, as in quiescectl(8) */
enum {
    CLIENT_FAILED = 1,
    CLIENT_USAGE = 2,
};

/*
 * Calls io.quiesced.@method of the daemon of QUIESCED_RUNTIME_DIR; @parameters (may be
 * NULL) is taken over. 0, or -errno after one line on stderr.
 */
int client_call(const char *method, json_object *parameters, json_object **ret_parameters);

#endif
