/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "member.h"

#include <stdarg.h>
#include <syslog.h>

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

static void learn_text(json_object *reply, const char *key, char **text)
{
    const char *said = NULL;

    if (wire_get_string(reply, key, &said) == 0) {
        free(*text);
        *text = wire_clean(said);
    }
}

static void learn(struct member *member, json_object *reply)
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

static void time_phase(struct member *member)
{
    uint64_t took = sub_usec(now_usec(), member->asked_at);

    if (strcmp(member->phase, "prepare") == 0) {
        member->prepare_usec = took;
    } else if (strcmp(member->phase, "freeze") == 0) {
        member->hold_usec = took;
    }
}

/* What the cycle gave the worker, less the margin in which it can still say why it is
 * late. */
static uint64_t worker_deadline(uint64_t deadline)
{
    uint64_t left = sub_usec(deadline, now_usec());

    return deadline - min_usec(DEADLINE_MARGIN, left / 4);
}

int member_start(struct member *member, struct workers *workers, unsigned index,
                 uint64_t deadline)
{
    pid_t stuck = workers_stuck(workers, member->app->name);
    int r;

    if (stuck != 0) {
        member_fail(member, "its worker of an earlier cycle, process %d, cannot be killed",
                    (int)stuck);
        return -EBUSY;
    }
    r = worker_start(workers, member->app->name, index, &member->worker);
    if (r < 0) {
        member_fail(member, "cannot start its worker: %s", strerror(-r));
        return r;
    }
    return member_ask(member, "prepare", deadline, 0);
}

int member_ask(struct member *member, const char *phase, uint64_t deadline,
               uint64_t hold_deadline)
{
    json_object *request;

    if (member->worker == NULL) {
        return -ESRCH;
    }
    request = json_object_new_object();
    (void)json_object_object_add(request, "do", json_object_new_string(phase));
    add_usec(request, "deadline", worker_deadline(deadline));
    add_usec(request, "hold_deadline", hold_deadline);
    if (strcmp(phase, "prepare") == 0) {
        (void)json_object_object_add(request, "protocol", json_object_new_int(WIRE_PROTOCOL));
        add_text(request, "plugin", member->app->plugin);
    }
    if (strcmp(phase, "abort") != 0) {
        member->phase = phase;
        member->asked_at = now_usec();
    }
    if (worker_request(member->worker, request) < 0) {
        /* it dies, and its end is told like any other */
        worker_kill(member->worker);
    }
    json_object_put(request);
    return 0;
}

static enum cycle_event_type take_result(struct member *member, json_object *reply)
{
    const char *result = "";

    (void)wire_get_string(reply, "result", &result);
    time_phase(member);
    learn(member, reply);
    if (strcmp(result, "ok") == 0) {
        if (strcmp(member->phase, "freeze") == 0) {
            member->held_since = wall_usec();
        }
        return CYCLE_EVENT_APP_OK;
    }
    if (strcmp(result, "not-running") == 0 && member->app->not_running == APP_NOT_RUNNING_SKIP) {
        return CYCLE_EVENT_APP_SKIPPED;
    }
    member_fail(member, "'%s' failed without a reason", member->phase);
    if (strcmp(member->phase, "thaw") == 0) {
        member->lost_at = wall_usec();
    }
    return CYCLE_EVENT_APP_FAILED;
}

bool member_hear(struct member *member, json_object *message, bool waits,
                 enum cycle_event_type *ret_type)
{
    const char *text = NULL;

    if (wire_get_string(message, "lost", &text) == 0) {
        member_fail(member, "%s", text);
        member->lost_at = wall_usec();
        *ret_type = CYCLE_EVENT_APP_LOST;
        return true;
    }
    if (wire_get_string(message, "reply", &text) < 0) {
        return false;
    }
    if (strcmp(text, "abort") == 0) {
        *ret_type = CYCLE_EVENT_APP_ABORTED;
        return true;
    }
    if (!waits || strcmp(text, member->phase) != 0) {
        return false;           /* it crossed our abort */
    }
    *ret_type = take_result(member, message);
    return true;
}

int member_take_log(struct member *member, json_object *message, const char *level,
                    char **ret_text)
{
    const char *text = "";

    (void)wire_get_string(message, "message", &text);
    *ret_text = wire_clean(text);
    if (strcmp(level, "warning") == 0) {
        member_warn(member, text);
        return LOG_WARNING;
    }
    return strcmp(level, "info") == 0 ? LOG_INFO : LOG_DEBUG;
}

void member_kill(struct member *member)
{
    member_fail(member, "it did not answer '%s' in time, and its worker was killed",
                member->phase);
    if (member->worker != NULL) {
        worker_kill(member->worker);
    }
}

void member_dismiss(struct member *member)
{
    if (member->worker != NULL) {
        worker_dismiss(member->worker);
        member->worker = NULL;
    }
}

pid_t member_give_up(struct member *member)
{
    pid_t pid = 0;

    if (member->worker != NULL) {
        pid = worker_give_up(member->worker);
        member->worker = NULL;
    }
    return pid;
}

void member_bury(struct member *member, const char *how, enum cycle_outcome outcome)
{
    member->worker = NULL;
    if (outcome == CYCLE_OUTCOME_HELD) {
        member_fail(member, "the hold was lost: its worker %s", how);
        member->lost_at = wall_usec();
    } else {
        member_fail(member, "its worker %s during '%s'", how, member->phase);
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
