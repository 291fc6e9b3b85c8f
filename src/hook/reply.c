/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <inttypes.h>
#include <stdbool.h>

#include "apps.h"
#include "record_join.h"
#include "reply.h"
#include "util.h"
#include "wire.h"

#define REPLY_WARNINGS_MAX 32U
#define REPLY_COORDINATES_MAX 32U

/* Cleaned text of a member, to be freed; NULL if it has none. */
static char *reply_text(json_object *object, const char *key)
{
    const char *text;

    return wire_get_string(object, key, &text) < 0 ? NULL : wire_clean(text);
}

static void add(json_object *object, const char *key, json_object *value)
{
    if (json_object_object_add(object, key, value) < 0) {
        json_object_put(value);
    }
}

static json_object *clean_string(json_object *value)
{
    CLEANUP_FREE char *text = NULL;

    if (!json_object_is_type(value, json_type_string)) {
        return NULL;
    }
    text = wire_clean(json_object_get_string(value));
    return text != NULL ? json_object_new_string(text) : NULL;
}

static json_object *clean_warnings(json_object *app)
{
    json_object *clean = json_object_new_array();
    json_object *warnings;

    if (clean == NULL || wire_get_array(app, "warnings", &warnings) < 0) {
        return clean;
    }
    for (size_t i = 0; i < json_object_array_length(warnings) && i < REPLY_WARNINGS_MAX; i++) {
        json_object *text = clean_string(json_object_array_get_idx(warnings, i));

        if (text != NULL && json_object_array_add(clean, text) < 0) {
            json_object_put(text);
        }
    }
    return clean;
}

static json_object *clean_coordinates(json_object *app)
{
    json_object *clean = json_object_new_object();
    json_object *coordinates;
    size_t n = 0;

    if (clean == NULL || wire_get_object(app, "coordinates", &coordinates) < 0) {
        return clean;
    }
    json_object_object_foreach(coordinates, key, value)
    {
        CLEANUP_FREE char *name = wire_clean(key);
        json_object *text = clean_string(value);

        if (name == NULL || text == NULL || n++ >= REPLY_COORDINATES_MAX) {
            json_object_put(text);
            continue;
        }
        add(clean, name, text);
    }
    return clean;
}

/* NULL when it is no app. */
static json_object *clean_app(json_object *app)
{
    static const char *const texts[] = { "name",  "plugin", "policy", "outcome",
                                         "error", "server", "method" };
    static const char *const numbers[] = { "prepare_usec", "hold_usec", "held_since", "lost_at" };
    json_object *clean = NULL;
    const char *name;

    if (!json_object_is_type(app, json_type_object) || wire_get_string(app, "name", &name) < 0 ||
        !app_name_valid(name)) {
        return NULL;
    }
    clean = json_object_new_object();
    if (clean == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        json_object *value;

        if (json_object_object_get_ex(app, texts[i], &value)) {
            add(clean, texts[i], clean_string(value));
        }
    }
    add(clean, "coordinates", clean_coordinates(app));
    add(clean, "warnings", clean_warnings(app));
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        uint64_t number;

        if (wire_get_uint(app, numbers[i], &number) == 0) {
            add(clean, numbers[i], json_object_new_int64((int64_t)number));
        }
    }
    return clean;
}

/* An array of clean apps, or NULL. */
static json_object *reply_apps(json_object *parameters)
{
    json_object *apps;
    json_object *clean;

    if (wire_get_array(parameters, "apps", &apps) < 0) {
        return NULL;
    }
    clean = json_object_new_array();
    if (clean == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < json_object_array_length(apps) && i < APPS_MAX; i++) {
        json_object *app = clean_app(json_object_array_get_idx(apps, i));

        if (app != NULL && json_object_array_add(clean, app) < 0) {
            json_object_put(app);
        }
    }
    return clean;
}

void reply_record_apps(struct call *call, json_object *parameters)
{
    json_object *apps = reply_apps(parameters);

    if (apps != NULL) {
        record_set_apps(&call->record, apps);
    }
}

static bool has_app(json_object *apps, const char *name)
{
    for (size_t i = 0; apps != NULL && i < json_object_array_length(apps); i++) {
        const char *other;

        if (wire_get_string(json_object_array_get_idx(apps, i), "name", &other) == 0 &&
            strcmp(other, name) == 0) {
            return true;
        }
    }
    return false;
}

int reply_check_apps(struct call *call, json_object *parameters, const struct apps *configured)
{
    json_object *apps = reply_apps(parameters);
    int r = 0;

    for (size_t i = 0; i < configured->n; i++) {
        if (!has_app(apps, configured->list[i].name)) {
            call_fail(call,
                      "app '%s': quiesced does not know it: its --config-dir is not '%s', "
                      "or the file has just gone",
                      configured->list[i].name, call->config_dir);
            r = -ESTALE;
        }
    }
    json_object_put(apps);
    return r;
}

/* Each answer has all warnings of the cycle. */
void reply_warn(struct call *call, json_object *parameters)
{
    json_object *warnings = clean_warnings(parameters);
    json_object *said = NULL;

    (void)wire_get_array(call->record.object, "warnings", &said);
    for (size_t i = 0; warnings != NULL && i < json_object_array_length(warnings); i++) {
        const char *text = json_object_get_string(json_object_array_get_idx(warnings, i));

        if (said == NULL || !record_join_has_text(said, text)) {
            call_warn(call, "%s", text);
        }
    }
    json_object_put(warnings);
}

static const char *member(json_object *app, const char *key, const char *otherwise)
{
    const char *text;

    return wire_get_string(app, key, &text) == 0 ? text : otherwise;
}

static bool is(json_object *app, const char *key, const char *value)
{
    return strcmp(member(app, key, ""), value) == 0;
}

static void say_app_held(struct call *call, json_object *app)
{
    const char *name = member(app, "name", "?");
    const char *server = member(app, "server", NULL);
    json_object *warnings;
    uint64_t usec = 0;

    call->app = name;
    if (is(app, "outcome", "held")) {
        (void)wire_get_uint(app, "hold_usec", &usec);
        call_note(call, "app '%s' is held by %s%s%s after %" PRIu64 " ms", name,
                  member(app, "method", member(app, "plugin", "?")), server != NULL ? " on " : "",
                  server != NULL ? server : "", usec / USEC_PER_MSEC);
    } else if (is(app, "outcome", "skipped")) {
        call_note(call, "app '%s' was skipped: %s", name, member(app, "error", "not running"));
    } else {
        call_warn(call, "app '%s' is not held: %s", name, member(app, "error", "no reason given"));
    }
    if (wire_get_array(app, "warnings", &warnings) < 0) {
        return;
    }
    for (size_t i = 0; i < json_object_array_length(warnings); i++) {
        call_warn(call, "app '%s': %s", name,
                  json_object_get_string(json_object_array_get_idx(warnings, i)));
    }
}

void reply_say_held(struct call *call, json_object *parameters)
{
    json_object *apps = reply_apps(parameters);

    for (size_t i = 0; apps != NULL && i < json_object_array_length(apps); i++) {
        say_app_held(call, json_object_array_get_idx(apps, i));
    }
    call->app = NULL;
    json_object_put(apps);
}

static void fail_with_reason(struct call *call, const char *error, const char *reason,
                             json_object *parameters)
{
    uint64_t retry = 0;

    if (reason == NULL) {
        call_fail(call, "quiesced answered %s", error);
    } else if (wire_get_uint(parameters, "retry_in_usec", &retry) == 0 && retry > 0) {
        call_fail(call, "%s (the next freeze is tried in %" PRIu64 " s)", reason,
                  (retry + USEC_PER_SEC - 1) / USEC_PER_SEC);
    } else {
        call_fail(call, "%s", reason);
    }
}

/* Has @reason said already that @name failed, and why? */
static bool is_said(const char *reason, const char *name, const char *why)
{
    CLEANUP_FREE char *quoted = NULL;

    if (reason == NULL || asprintf(&quoted, "'%s'", name) < 0) {
        quoted = NULL;
        return false;
    }
    return strstr(reason, quoted) != NULL && strstr(reason, why) != NULL;
}

void reply_fail(struct call *call, const char *error, json_object *parameters)
{
    CLEANUP_FREE char *reason = reply_text(parameters, "reason");
    json_object *apps = reply_apps(parameters);

    fail_with_reason(call, error, reason, parameters);
    for (size_t i = 0; apps != NULL && i < json_object_array_length(apps); i++) {
        json_object *app = json_object_array_get_idx(apps, i);
        const char *name = member(app, "name", "?");
        const char *why = member(app, "error", NULL);

        if (why == NULL || (!is(app, "outcome", "failed") && !is(app, "outcome", "lost")) ||
            is_said(reason, name, why)) {
            continue;
        }
        call->app = name;
        if (is(app, "policy", "optional")) {
            call_warn(call, "app '%s': %s", name, why);
        } else {
            call_fail(call, "app '%s': %s", name, why);
        }
    }
    call->app = NULL;
    json_object_put(apps);
}

void reply_say_lost(struct call *call, const char *text)
{
    switch (call->settings.lost_hold) {
    case LOST_HOLD_FAIL:
        call_fail(call, "%s", text);
        return;
    case LOST_HOLD_WARN:
        record_add_reason(&call->record, text);
        call_complain(call, "%s", text);
        return;
    }
    abort();
}

/* Whether @app spoils the verdict. */
static bool say_app_verdict(struct call *call, json_object *app)
{
    const char *name = member(app, "name", "?");
    const char *why = member(app, "error", "the hold was lost");
    CLEANUP_FREE char *text = NULL;

    call->app = name;
    if (is(app, "outcome", "held")) {
        call_note(call, "app '%s' was held until the thaw", name);
        return false;
    }
    if (is(app, "outcome", "skipped")) {
        return false;
    }
    if (is(app, "policy", "optional")) {
        call_warn(call, "optional app '%s' was not consistent: %s", name, why);
        return false;
    }
    if (asprintf(&text, "app '%s' was not consistent: %s", name, why) < 0) {
        text = NULL;
    }
    reply_say_lost(call, text != NULL ? text : why);
    return true;
}

size_t reply_say_apps(struct call *call, json_object *parameters)
{
    json_object *apps = reply_apps(parameters);
    size_t n = 0;

    for (size_t i = 0; apps != NULL && i < json_object_array_length(apps); i++) {
        n += say_app_verdict(call, json_object_array_get_idx(apps, i)) ? 1 : 0;
    }
    call->app = NULL;
    json_object_put(apps);
    return n;
}
