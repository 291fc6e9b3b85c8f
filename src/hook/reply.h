/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reply.h: what the daemon said, made fit for record, log and agent
 *
 * The daemon is another user: its texts are cut and cleaned, and of its objects
 * only the members that io.quiesced names are taken.
 */
#ifndef QUIESCED_HOOK_REPLY_H
#define QUIESCED_HOOK_REPLY_H

#include <json-c/json.h>

#include "apps.h"
#include "call.h"

/* Takes the apps of @parameters into the record, if it has any. */
void reply_record_apps(struct call *call, json_object *parameters);

/* Does the daemon know each of @configured? -ESTALE after saying which one it does not. */
int reply_check_apps(struct call *call, json_object *parameters, const struct apps *configured);

/* Says the warnings of the reply itself. */
void reply_warn(struct call *call, json_object *parameters);

/* Says how each app is held: notes, and warnings for optional ones that are not. */
void reply_say_held(struct call *call, json_object *parameters);

/* Says why a call was refused: the reason, and each app's error that it leaves out. */
void reply_fail(struct call *call, const char *error, json_object *parameters);

/* Says that a hold was lost: a failure, or a complaint when lost-hold is warn. */
void reply_say_lost(struct call *call, const char *text);

/* Says what became of each app, and returns how many required ones were not
 * consistent. */
size_t reply_say_apps(struct call *call, json_object *parameters);

#endif
