/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "replies.h"

#include <inttypes.h>

#include "names.h"
#include "util.h"
#include "wire.h"

/* Less than a frame, since a reason and the like come to it. */
#define REPLY_MAX (WIRE_FRAME_MAX / 4 * 3)

static void add_text(json_object *object, const char *key, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        (void)json_object_object_add(object, key, json_object_new_string(text));
    }
}

static void add_usec(json_object *object, const char *key, uint64_t usec)
{
    (void)json_object_object_add(object, key, json_object_new_int64((int64_t)usec));
}

/* A member that the interface does not leave out. It may quote a file, which need not be
 * UTF-8. */
static void add_reason(json_object *object, const char *reason)
{
    CLEANUP_FREE char *clean = reason != NULL ? wire_clean(reason) : NULL;

    (void)json_object_object_add(
        object, "reason", json_object_new_string(clean != NULL ? clean : strerror(ENOMEM)));
}

static size_t length(json_object *object)
{
    size_t size = 0;

    (void)json_object_to_json_string_length(object, JSON_C_TO_STRING_PLAIN, &size);
    return size;
}

/* By how much the app has become shorter. */
static size_t leave_out(json_object *app, const char *key, json_object *empty)
{
    size_t before = length(app);
    size_t after;
    CLEANUP_FREE char *text = NULL;
    json_object *warnings = NULL;

    (void)json_object_object_add(app, key, empty);
    if (asprintf(&text, "its %s are left out: the answer would be too long", key) < 0) {
        text = NULL;
    } else if (wire_get_array(app, "warnings", &warnings) == 0) {
        (void)json_object_array_add(warnings, json_object_new_string(text));
    }
    after = length(app);
    return before > after ? before - after : 0;
}

/* A peer takes no longer frame: what is of the least use has to go. The journal has the
 * warnings. */
static void make_fit(json_object *reply, json_object *apps)
{
    size_t n = json_object_array_length(apps);
    size_t size = length(reply);

    for (size_t i = 0; i < n && size > REPLY_MAX; i++) {
        size -= leave_out(json_object_array_get_idx(apps, i), "warnings",
                          json_object_new_array());
    }
    for (size_t i = 0; i < n && size > REPLY_MAX; i++) {
        size -= leave_out(json_object_array_get_idx(apps, i), "coordinates",
                          json_object_new_object());
    }
}

json_object *reply_progress(const struct conductor *conductor)
{
    json_object *object = json_object_new_object();
    json_object *apps = conductor_apps(conductor);

    add_text(object, "cycle", conductor_id(conductor));
    (void)json_object_object_add(object, "apps", apps);
    (void)json_object_object_add(object, "warnings", conductor_warnings(conductor));
    make_fit(object, apps);
    return object;
}

json_object *reply_frozen(const struct conductor *conductor)
{
    json_object *object = reply_progress(conductor);

    add_usec(object, "held_since", conductor_held_since(conductor));
    return object;
}

json_object *reply_committed(const struct conductor *conductor)
{
    json_object *object = json_object_new_object();

    add_usec(object, "hold_until_monotonic", conductor_cycle(conductor)->hold_deadline);
    return object;
}

json_object *reply_verdict(const struct conductor *conductor)
{
    json_object *object = reply_progress(conductor);
    bool consistent = cycle_consistent(conductor_cycle(conductor));

    (void)json_object_object_add(object, "consistent", json_object_new_boolean(consistent));
    if (!consistent) {
        CLEANUP_FREE char *reason = conductor_reason(conductor);

        add_reason(object, reason);
    }
    return object;
}

/* A cycle that is over says nothing of the state, and one whose holds ended early waits
 * for its thaw alone. */
json_object *reply_status(const struct conductor *conductor)
{
    const struct cycle *cycle = conductor_cycle(conductor);
    bool idle = cycle->state == CYCLE_IDLE;
    bool ended = cycle->state == CYCLE_HELD && cycle->hold_deadline == 0;
    json_object *object = idle ? json_object_new_object() : reply_progress(conductor);
    uint64_t retry_in = sub_usec(cycle->retry_at, now_usec());

    if (idle) {
        (void)json_object_object_add(object, "apps", json_object_new_array());
        (void)json_object_object_add(object, "warnings", json_object_new_array());
    }
    add_text(object, "state", ended ? "ended" : name_of_state(cycle->state));
    if (!ended && conductor_held_since(conductor) != 0) {
        add_usec(object, "since", conductor_held_since(conductor));
    }
    if (cycle->hold_deadline != 0) {
        add_usec(object, "hold_until_monotonic", cycle->hold_deadline);
    }
    add_text(object, "last_failure", conductor_last_failure(conductor));
    if (retry_in != 0) {
        add_usec(object, "retry_in_usec", retry_in);
    }
    add_usec(object, "protocol", WIRE_PROTOCOL);
    add_text(object, "version", PACKAGE_VERSION);
    return object;
}

json_object *reply_failed(const struct conductor *conductor)
{
    json_object *object = reply_progress(conductor);
    CLEANUP_FREE char *reason = conductor_reason(conductor);

    add_reason(object, reason);
    return object;
}

json_object *reply_not_begun(const char *reason)
{
    json_object *object = json_object_new_object();

    add_reason(object, reason);
    (void)json_object_object_add(object, "apps", json_object_new_array());
    return object;
}

json_object *reply_retry_later(const struct conductor *conductor)
{
    json_object *object = json_object_new_object();

    add_reason(object, conductor_last_failure(conductor));
    add_usec(object, "retry_in_usec",
             sub_usec(conductor_cycle(conductor)->retry_at, now_usec()));
    return object;
}

json_object *reply_other_protocol(uint64_t protocol)
{
    json_object *object = json_object_new_object();
    char reason[128];

    (void)snprintf(reason, sizeof(reason),
                   "the daemon speaks protocol %d, the caller %" PRIu64
                   ": restart quiesced.service",
                   WIRE_PROTOCOL, protocol);
    add_reason(object, reason);
    add_usec(object, "protocol", WIRE_PROTOCOL);
    return object;
}
