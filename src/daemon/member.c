/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "member.h"

#include <stdarg.h>

#include "names.h"
#include "util.h"
#include "wire.h"

#define WARNINGS_MAX 16U
#define COORDINATES_MAX 32

int member_init(struct member *member, const struct app *app)
{
    *member = (struct member){
        .app = app,
        .phase = "prepare",
        .coordinates = json_object_new_object(),
        .warnings = json_object_new_array(),
    };
    if (member->coordinates == NULL || member->warnings == NULL) {
        member_done(member);
        return -ENOMEM;
    }
    return 0;
}

void member_done(struct member *member)
{
    free(member->error);
    free(member->server);
    free(member->method);
    json_object_put(member->coordinates);
    json_object_put(member->warnings);
    *member = (struct member){.app = NULL};
}

void member_fail(struct member *member, const char *format, ...)
{
    char text[WIRE_TEXT_MAX + 1];
    va_list arguments;

    if (member->error != NULL) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    member->error = wire_clean(text);
}

void member_warn(struct member *member, const char *text)
{
    CLEANUP_FREE char *clean = wire_clean(text);

    if (clean != NULL && json_object_array_length(member->warnings) < WARNINGS_MAX) {
        (void)json_object_array_add(member->warnings, json_object_new_string(clean));
    }
}

static void learn_text(json_object *reply, const char *key, char **text)
{
    const char *said = NULL;

    if (wire_get_string(reply, key, &said) == 0) {
        free(*text);
        *text = wire_clean(said);
    }
}

void member_learn(struct member *member, json_object *reply)
{
    json_object *coordinates = NULL;
    const char *error = NULL;

    learn_text(reply, "server", &member->server);
    learn_text(reply, "method", &member->method);
    if (wire_get_string(reply, "error", &error) == 0) {
        member_fail(member, "%s", error);
    }
    if (wire_get_object(reply, "coordinates", &coordinates) < 0) {
        return;
    }
    json_object_object_foreach(coordinates, key, value)
    {
        CLEANUP_FREE char *text = NULL;

        if (app_name_valid(key) && json_object_is_type(value, json_type_string) &&
            json_object_object_length(member->coordinates) < COORDINATES_MAX) {
            text = wire_clean(json_object_get_string(value));
            (void)json_object_object_add(member->coordinates, key,
                                         json_object_new_string(text != NULL ? text : ""));
        }
    }
}

void member_time_phase(struct member *member)
{
    uint64_t took = sub_usec(now_usec(), member->asked_at);

    if (strcmp(member->phase, "prepare") == 0) {
        member->prepare_usec = took;
    } else if (strcmp(member->phase, "freeze") == 0) {
        member->hold_usec = took;
        member->held_since = wall_usec();
    }
}

static void add_text(json_object *object, const char *key, const char *text)
{
    if (text != NULL) {
        (void)json_object_object_add(object, key, json_object_new_string(text));
    }
}

static void add_usec(json_object *object, const char *key, uint64_t usec)
{
    if (usec != 0) {
        (void)json_object_object_add(object, key, json_object_new_int64((int64_t)usec));
    }
}

json_object *member_describe(const struct member *member, enum cycle_outcome outcome)
{
    json_object *object = json_object_new_object();

    add_text(object, "name", member->app->name);
    add_text(object, "plugin", member->app->plugin != NULL ? member->app->plugin : "");
    add_text(object, "policy", member->app->policy == APP_REQUIRED ? "required" : "optional");
    add_text(object, "outcome", name_of_outcome(outcome));
    add_text(object, "error", member->error);
    add_text(object, "server", member->server);
    add_text(object, "method", member->method);
    (void)json_object_object_add(object, "coordinates", json_object_get(member->coordinates));
    (void)json_object_object_add(object, "warnings", json_object_get(member->warnings));
    add_usec(object, "prepare_usec", member->prepare_usec);
    add_usec(object, "hold_usec", member->hold_usec);
    add_usec(object, "held_since", member->held_since);
    add_usec(object, "lost_at", member->lost_at);
    return object;
}
