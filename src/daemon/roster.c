/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "roster.h"

#include <stdbool.h>
#include <sys/random.h>

#include "marker.h"
#include "settings.h"
#include "util.h"

_Static_assert(APPS_MAX <= CYCLE_APPS_MAX, "every app that can be configured has a place");

/* "a; b": @text is freed. NULL without memory. */
static char *join(char *text, const char *app, const char *error)
{
    char *longer = NULL;

    if (asprintf(&longer, "%s%sapp '%s': %s", text != NULL ? text : "", text != NULL ? "; " : "",
                 app, error) < 0) {
        longer = NULL;
    }
    free(text);
    return longer;
}

/* Every app whose file is wrong, on one line, or NULL. */
static char *broken_apps(const struct apps *apps)
{
    char *text = NULL;

    for (size_t i = 0; i < apps->n; i++) {
        if (apps->list[i].error != NULL) {
            text = join(text, apps->list[i].name, apps->list[i].error);
        }
    }
    return text;
}

static int enlist(struct roster *roster, struct cycle_plan *plan)
{
    for (size_t i = 0; i < roster->apps.n; i++) {
        int r = member_init(&roster->members[i], &roster->apps.list[i]);

        if (r < 0) {
            return r;
        }
        roster->n++;
        if (roster->apps.list[i].policy == APP_REQUIRED) {
            plan->required |= UINT64_C(1) << i;
        }
    }
    plan->n_apps = (unsigned)roster->n;
    return 0;
}

static void new_id(struct roster *roster)
{
    unsigned char bytes[ROSTER_ID_BYTES] = {0};

    (void)getrandom(bytes, sizeof(bytes), 0);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        (void)snprintf(roster->id + 2 * i, 3, "%02x", bytes[i]);
    }
}

int roster_load(struct roster *roster, const char *config_dir, struct cycle_plan *ret_plan,
                char **ret_error)
{
    struct settings settings;
    struct cycle_plan plan;
    char *broken;
    int r;

    roster_clear(roster);
    new_id(roster);
    r = settings_load(config_dir, &settings, ret_error);
    if (r == 0) {
        r = apps_load(config_dir, &roster->apps, ret_error);
    }
    if (r < 0) {
        return r;
    }
    broken = broken_apps(&roster->apps);
    if (broken != NULL) {
        *ret_error = broken;
        return -EINVAL;
    }
    plan = (struct cycle_plan){
        .settings =
            {
                .hold_timeout = settings.hold_timeout,
                .hold_attempt = settings.hold_attempt,
                .retry_after = settings.retry_after,
                .sync = settings.sync,
            },
    };
    roster->warnings = json_object_new_array();
    r = roster->warnings != NULL ? enlist(roster, &plan) : -ENOMEM;
    if (r == 0) {
        *ret_plan = plan;
    }
    return r;
}

void roster_clear(struct roster *roster)
{
    for (size_t i = 0; i < roster->n; i++) {
        member_done(&roster->members[i]);
    }
    apps_free(&roster->apps);
    json_object_put(roster->warnings);
    roster->apps = (struct apps){.n = 0};
    roster->n = 0;
    roster->warnings = NULL;
}

json_object *roster_describe(const struct roster *roster, const struct cycle *cycle)
{
    json_object *array = json_object_new_array();

    for (size_t i = 0; i < roster->n; i++) {
        (void)json_object_array_add(
            array, member_describe(&roster->members[i], cycle->apps[i].outcome));
    }
    return array;
}

json_object *roster_warnings(const struct roster *roster)
{
    return roster->warnings != NULL ? json_object_get(roster->warnings)
                                    : json_object_new_array();
}

char *roster_reason(const struct roster *roster, const struct cycle *cycle)
{
    char *text = NULL;

    for (size_t i = 0; i < roster->n; i++) {
        enum cycle_outcome outcome = cycle->apps[i].outcome;

        if (cycle_required(cycle, (unsigned)i) && roster->members[i].error != NULL &&
            (outcome == CYCLE_OUTCOME_FAILED || outcome == CYCLE_OUTCOME_LOST)) {
            text = join(text, roster->members[i].app->name, roster->members[i].error);
        }
    }
    return text;
}

int roster_write_marker(const struct roster *roster, const char *runtime_dir,
                        const char *reason)
{
    const char *names[CYCLE_APPS_MAX];

    for (size_t i = 0; i < roster->n; i++) {
        names[i] = roster->members[i].app->name;
    }
    return marker_write(runtime_dir, roster->id, names, roster->n, reason);
}
