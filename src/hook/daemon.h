/* SPDX-License-Identifier: GPL-2.0-or-later */
/* daemon.h: asking quiesced, and saying why there is no answer */
#ifndef QUIESCED_HOOK_DAEMON_H
#define QUIESCED_HOOK_DAEMON_H

#include <json-c/json.h>
#include <stdint.h>

#include "call.h"
#include "wire.h"

#define DAEMON_SOCKET "quiesced.sock"

/* 0, or -errno with one line in *ret_why (to be freed), which says how to start it. */
int daemon_connect(const struct call *call, uint64_t deadline, struct wire_client *ret_client,
                   char **ret_why);

/* Why a wire_call() of @method gave @r, which is no -EREMOTEIO. To be freed. */
char *daemon_why(const struct call *call, const char *method, int r);

/*
 * Calls io.quiesced.@method; @parameters is taken over. 0, with the reply's parameters,
 * or -errno after it was said why: as failures of the call.
 */
int daemon_call(struct call *call, struct wire_client *client, const char *method,
                json_object *parameters, uint64_t deadline, json_object **ret_parameters);

/* A time for a member of a message. */
json_object *daemon_time(uint64_t usec);

#endif
