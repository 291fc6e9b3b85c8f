/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "record_join.h"
#include "util.h"
#include "wire.h"

static bool same_text(json_object *a, json_object *b, const char *key)
{
    const char *text_a;
    const char *text_b;

    return wire_get_string(a, key, &text_a) == 0 && wire_get_string(b, key, &text_b) == 0 &&
           strcmp(text_a, text_b) == 0;
}

static bool has_text(json_object *object, const char *key)
{
    const char *text;

    return wire_get_string(object, key, &text) == 0;
}

static bool has_members(json_object *object, const char *key)
{
    json_object *array;

    return wire_get_array(object, key, &array) == 0 && json_object_array_length(array) > 0;
}

/* A copy of @from's member, also when that is null. */
static void take(json_object *into, json_object *from, const char *key)
{
    json_object *value;

    if (json_object_object_get_ex(from, key, &value)) {
        (void)json_object_object_add(into, key, json_object_get(value));
    }
}

bool record_join_matches(json_object *held, json_object *thaw)
{
    const char *state;

    return wire_get_string(held, "state", &state) == 0 && strcmp(state, "held") == 0 &&
           same_text(held, thaw, "boot_id") &&
           (!has_text(thaw, "cycle") || same_text(held, thaw, "cycle"));
}

bool record_join_has_verdict(json_object *thaw)
{
    bool consistent;

    return wire_get_bool(thaw, "consistent", &consistent) == 0;
}

/* The object of @array whose @key is @value, or NULL. */
static json_object *find(json_object *array, const char *key, const char *value)
{
    for (size_t i = 0; i < json_object_array_length(array); i++) {
        json_object *object = json_object_array_get_idx(array, i);
        const char *text;

        if (json_object_is_type(object, json_type_object) &&
            wire_get_string(object, key, &text) == 0 && strcmp(text, value) == 0) {
            return object;
        }
    }
    return NULL;
}

int record_join_script(json_object *scripts, const char *path, const char *verb, json_object *run)
{
    json_object *script = find(scripts, "path", path);

    if (script == NULL) {
        script = json_object_new_object();
        if (script == NULL ||
            json_object_object_add(script, "path", json_object_new_string(path)) < 0 ||
            json_object_array_add(scripts, script) < 0) {
            json_object_put(script);
            return -ENOMEM;
        }
    }
    return json_object_object_add(script, verb, run) < 0 ? -ENOMEM : 0;
}

/* What the verdict says of an app goes over what the freeze knew of it. */
static void join_app(json_object *apps, json_object *app)
{
    json_object *old;
    const char *name;

    if (wire_get_string(app, "name", &name) < 0) {
        return;
    }
    old = find(apps, "name", name);
    if (old == NULL) {
        if (json_object_array_add(apps, json_object_get(app)) < 0) {
            json_object_put(app);
        }
        return;
    }
    json_object_object_foreach(app, key, value)
    {
        bool nothing =
            value == NULL ||
            (json_object_is_type(value, json_type_object) &&
             json_object_object_length(value) == 0) ||
            (json_object_is_type(value, json_type_array) && json_object_array_length(value) == 0);

        if (!nothing) {
            (void)json_object_object_add(old, key, json_object_get(value));
        }
    }
}

static void join_apps(json_object *held, json_object *thaw)
{
    json_object *apps;
    json_object *verdicts;

    if (wire_get_array(thaw, "apps", &verdicts) < 0) {
        return;
    }
    if (wire_get_array(held, "apps", &apps) < 0) {
        take(held, thaw, "apps");
        return;
    }
    for (size_t i = 0; i < json_object_array_length(verdicts); i++) {
        json_object *app = json_object_array_get_idx(verdicts, i);

        if (json_object_is_type(app, json_type_object)) {
            join_app(apps, app);
        }
    }
}

static void join_scripts(json_object *held, json_object *thaw)
{
    json_object *scripts;
    json_object *thawed;

    if (wire_get_array(thaw, "scripts", &thawed) < 0) {
        return;
    }
    if (wire_get_array(held, "scripts", &scripts) < 0) {
        take(held, thaw, "scripts");
        return;
    }
    for (size_t i = 0; i < json_object_array_length(thawed); i++) {
        json_object *script = json_object_array_get_idx(thawed, i);
        json_object *run;
        const char *path;

        if (wire_get_string(script, "path", &path) == 0 &&
            wire_get_object(script, "thaw", &run) == 0 &&
            record_join_script(scripts, path, "thaw", json_object_get(run)) < 0) {
            json_object_put(run);
        }
    }
}

bool record_join_has_text(json_object *array, const char *text)
{
    for (size_t i = 0; i < json_object_array_length(array); i++) {
        const char *other = json_object_get_string(json_object_array_get_idx(array, i));

        if (other != NULL && text != NULL && strcmp(other, text) == 0) {
            return true;
        }
    }
    return false;
}

/* The daemon's are told at the freeze and at the thaw. */
static void join_warnings(json_object *held, json_object *thaw)
{
    json_object *warnings;
    json_object *more;

    if (wire_get_array(thaw, "warnings", &more) < 0) {
        return;
    }
    if (wire_get_array(held, "warnings", &warnings) < 0) {
        take(held, thaw, "warnings");
        return;
    }
    for (size_t i = 0; i < json_object_array_length(more); i++) {
        json_object *warning = json_object_array_get_idx(more, i);

        if (!record_join_has_text(warnings, json_object_get_string(warning)) &&
            json_object_array_add(warnings, json_object_get(warning)) < 0) {
            json_object_put(warning);
        }
    }
}

void record_join_thaw(json_object *held, json_object *thaw)
{
    bool unasked = !record_join_has_verdict(thaw) && has_members(held, "apps");

    take(held, thaw, "state");
    take(held, thaw, "consistent");
    take(held, thaw, "finished");
    take(held, thaw, "reason");
    if (unasked && !has_text(thaw, "reason")) {
        (void)json_object_object_add(
            held, "reason", json_object_new_string("nothing was held any more at the thaw"));
    }
    join_apps(held, thaw);
    join_scripts(held, thaw);
    join_warnings(held, thaw);
}
