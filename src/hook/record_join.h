/* SPDX-License-Identifier: GPL-2.0-or-later */
/* record_join.h: how a thaw goes into the record that its freeze wrote */
#ifndef QUIESCED_HOOK_RECORD_JOIN_H
#define QUIESCED_HOOK_RECORD_JOIN_H

#include <json-c/json.h>
#include <stdbool.h>

/* Is @held the record of the freeze that @thaw, a record of this boot, ends? */
bool record_join_matches(json_object *held, json_object *thaw);

/* Did anybody answer, or should have answered, whether the holds lasted? */
bool record_join_has_verdict(json_object *thaw);

/* Puts what @thaw says into @held, and keeps the rest. */
void record_join_thaw(json_object *held, json_object *thaw);

/* Sets the member @verb of @path's object in @scripts, which is made if it is not
 * there. Takes @run over. 0 or -ENOMEM; then @run is still the caller's. */
int record_join_script(json_object *scripts, const char *path, const char *verb, json_object *run);

/* Is @text a member of @array? */
bool record_join_has_text(json_object *array, const char *text);

#endif
