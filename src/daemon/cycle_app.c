/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cycle_app.h"

#include <assert.h>
#include <stdlib.h>

void cycle_act(struct cycle_actions *actions, enum cycle_action_type type, unsigned app)
{
    assert(actions->n < sizeof(actions->list) / sizeof(actions->list[0]));
    actions->list[actions->n++] = (struct cycle_action){.type = type, .app = app};
}

bool cycle_uncommitted(const struct cycle *cycle)
{
    switch (cycle->state) {
    case CYCLE_PREPARING:
    case CYCLE_PREPARED:
    case CYCLE_SYNCING:
    case CYCLE_FREEZING:
    case CYCLE_CHECKING:
    case CYCLE_FROZEN:
        return true;
    case CYCLE_IDLE:
    case CYCLE_HELD:
    case CYCLE_THAWING:
    case CYCLE_UNDOING:
    case CYCLE_FAILED:
        return false;
    }
    abort();
}

bool cycle_required(const struct cycle *cycle, unsigned app)
{
    return (cycle->plan.required >> app & 1) != 0;
}

bool cycle_app_waits(const struct cycle *cycle, unsigned app)
{
    switch (cycle->apps[app].state) {
    case CYCLE_APP_PREPARING:
    case CYCLE_APP_FREEZING:
    case CYCLE_APP_CHECKING:
    case CYCLE_APP_THAWING:
        return true;
    case CYCLE_APP_READY:
    case CYCLE_APP_HOLDING:
    case CYCLE_APP_ABORTING:
    case CYCLE_APP_KILLED:
    case CYCLE_APP_ENDED:
        return false;
    }
    abort();
}

bool cycle_any_app_in(const struct cycle *cycle, enum cycle_app_state state)
{
    for (unsigned i = 0; i < cycle->plan.n_apps; i++) {
        if (cycle->apps[i].state == state) {
            return true;
        }
    }
    return false;
}

bool cycle_busy(const struct cycle *cycle)
{
    for (unsigned i = 0; i < cycle->plan.n_apps; i++) {
        if (cycle->apps[i].state != CYCLE_APP_ENDED) {
            return true;
        }
    }
    return false;
}

bool cycle_consistent(const struct cycle *cycle)
{
    if (cycle->cause == CYCLE_CAUSE_RESTARTED || cycle->cause == CYCLE_CAUSE_THAWED) {
        return false;
    }
    for (unsigned i = 0; i < cycle->plan.n_apps; i++) {
        if (cycle_required(cycle, i) && cycle->apps[i].outcome != CYCLE_OUTCOME_HELD &&
            cycle->apps[i].outcome != CYCLE_OUTCOME_SKIPPED) {
            return false;
        }
    }
    return true;
}

void cycle_app_enter(struct cycle *cycle, unsigned app, enum cycle_app_state state,
                     uint64_t deadline)
{
    cycle->apps[app].state = state;
    cycle->apps[app].deadline = deadline;
}

bool cycle_app_active(const struct cycle_app *app)
{
    switch (app->state) {
    case CYCLE_APP_PREPARING:
    case CYCLE_APP_READY:
    case CYCLE_APP_FREEZING:
    case CYCLE_APP_HOLDING:
    case CYCLE_APP_CHECKING:
    case CYCLE_APP_THAWING:
        return true;
    case CYCLE_APP_ABORTING:
    case CYCLE_APP_KILLED:
    case CYCLE_APP_ENDED:
        return false;
    }
    abort();
}

void cycle_app_check(struct cycle *cycle, unsigned app, uint64_t now,
                     struct cycle_actions *actions)
{
    uint64_t limit = cycle_required(cycle, app) ? cycle->plan.settings.hold_attempt
                                                : CYCLE_OPTIONAL_EXTRA;

    if (cycle->apps[app].state == CYCLE_APP_HOLDING) {
        cycle_app_enter(cycle, app, CYCLE_APP_CHECKING,
                        cycle_earlier(now + limit, cycle->plan.forward_deadline));
        cycle_act(actions, CYCLE_ACTION_CHECK_APP, app);
    }
}

void cycle_app_thaw(struct cycle *cycle, unsigned app, uint64_t deadline,
                    struct cycle_actions *actions)
{
    struct cycle_app *own = &cycle->apps[app];

    if (own->state == CYCLE_APP_HOLDING) {
        cycle_app_enter(cycle, app, CYCLE_APP_THAWING, deadline);
        cycle_act(actions, CYCLE_ACTION_THAW_APP, app);
    } else if (own->state == CYCLE_APP_ABORTING) {
        own->deadline = cycle_earlier(own->deadline, deadline);
    }
}

void cycle_app_abort(struct cycle *cycle, unsigned app, uint64_t now,
                     struct cycle_actions *actions)
{
    uint64_t limit = now + CYCLE_ABORT_MAX;
    uint64_t undo = cycle->plan.undo_deadline;

    if (cycle->state == CYCLE_UNDOING && undo > now) {
        /* leave time for the kill when an app does not listen */
        limit = cycle_earlier(limit, now + (undo - now) / 2);
    }
    cycle_app_enter(cycle, app, CYCLE_APP_ABORTING, limit);
    cycle_act(actions, CYCLE_ACTION_ABORT_APP, app);
}

/* The app holds nothing any more, and its worker exits by itself. */
static void dismiss(struct cycle *cycle, unsigned app, struct cycle_actions *actions)
{
    cycle_app_enter(cycle, app, CYCLE_APP_ENDED, 0);
    cycle_act(actions, CYCLE_ACTION_DISMISS_APP, app);
}

/* An app's hold, or its way to one, has come to nothing. */
static enum cycle_effect failed(struct cycle *cycle, unsigned app)
{
    enum cycle_outcome *outcome = &cycle->apps[app].outcome;

    if (*outcome == CYCLE_OUTCOME_PENDING) {
        *outcome = CYCLE_OUTCOME_FAILED;
    } else if (*outcome == CYCLE_OUTCOME_HELD) {
        *outcome = CYCLE_OUTCOME_LOST;
    }
    return cycle_uncommitted(cycle) && cycle_required(cycle, app) ? CYCLE_EFFECT_FAIL
                                                                  : CYCLE_EFFECT_ADVANCE;
}

static enum cycle_effect succeeded(struct cycle *cycle, unsigned app,
                                   struct cycle_actions *actions)
{
    switch (cycle->apps[app].state) {
    case CYCLE_APP_PREPARING:
        cycle_app_enter(cycle, app, CYCLE_APP_READY, 0);
        return CYCLE_EFFECT_ADVANCE;
    case CYCLE_APP_FREEZING:
        cycle->apps[app].outcome = CYCLE_OUTCOME_HELD;
        cycle_app_enter(cycle, app, CYCLE_APP_HOLDING, 0);
        return CYCLE_EFFECT_ADVANCE;
    case CYCLE_APP_CHECKING:
        cycle_app_enter(cycle, app, CYCLE_APP_HOLDING, 0);
        return CYCLE_EFFECT_ADVANCE;
    case CYCLE_APP_THAWING:
        dismiss(cycle, app, actions);
        return CYCLE_EFFECT_ADVANCE;
    case CYCLE_APP_READY:
    case CYCLE_APP_HOLDING:
    case CYCLE_APP_ABORTING:
    case CYCLE_APP_KILLED:
    case CYCLE_APP_ENDED:
        return CYCLE_EFFECT_NONE;
    }
    abort();
}

static enum cycle_effect skipped(struct cycle *cycle, unsigned app, uint64_t now,
                                 struct cycle_actions *actions)
{
    if (cycle->apps[app].state != CYCLE_APP_PREPARING) {
        return CYCLE_EFFECT_NONE;
    }
    cycle->apps[app].outcome = CYCLE_OUTCOME_SKIPPED;
    cycle_app_abort(cycle, app, now, actions);
    return CYCLE_EFFECT_ADVANCE;
}

enum cycle_effect cycle_app_event(struct cycle *cycle, const struct cycle_event *event,
                                  uint64_t now, struct cycle_actions *actions)
{
    unsigned app = event->app;

    if (app >= cycle->plan.n_apps || cycle->apps[app].state == CYCLE_APP_ENDED) {
        return CYCLE_EFFECT_NONE;
    }
    if (!cycle_app_active(&cycle->apps[app])) {
        /* being ended: an answer that crossed our abort says nothing any more */
        if (event->type != CYCLE_EVENT_APP_ABORTED && event->type != CYCLE_EVENT_APP_LOST &&
            event->type != CYCLE_EVENT_APP_GONE) {
            return CYCLE_EFFECT_NONE;
        }
        dismiss(cycle, app, actions);
        return CYCLE_EFFECT_ADVANCE;
    }
    if (event->type == CYCLE_EVENT_APP_OK) {
        return succeeded(cycle, app, actions);
    }
    if (event->type == CYCLE_EVENT_APP_SKIPPED) {
        return skipped(cycle, app, now, actions);
    }
    if (event->type == CYCLE_EVENT_APP_FAILED &&
        cycle->apps[app].state != CYCLE_APP_THAWING) {
        cycle_app_abort(cycle, app, now, actions);
    } else {
        dismiss(cycle, app, actions);
    }
    return failed(cycle, app);
}

enum cycle_effect cycle_app_late(struct cycle *cycle, unsigned app, uint64_t now,
                                 struct cycle_actions *actions)
{
    switch (cycle->apps[app].state) {
    case CYCLE_APP_PREPARING:
    case CYCLE_APP_FREEZING:
    case CYCLE_APP_CHECKING:
    case CYCLE_APP_THAWING:
        cycle_app_enter(cycle, app, CYCLE_APP_KILLED, now + CYCLE_KILL_GRACE);
        cycle_act(actions, CYCLE_ACTION_KILL_APP, app);
        return failed(cycle, app);
    case CYCLE_APP_ABORTING:
        cycle_app_enter(cycle, app, CYCLE_APP_KILLED, now + CYCLE_KILL_GRACE);
        cycle_act(actions, CYCLE_ACTION_KILL_APP, app);
        return CYCLE_EFFECT_NONE;
    case CYCLE_APP_KILLED:
        cycle_app_enter(cycle, app, CYCLE_APP_ENDED, 0);
        cycle_act(actions, CYCLE_ACTION_GIVE_UP_APP, app);
        return CYCLE_EFFECT_ADVANCE;
    case CYCLE_APP_READY:
    case CYCLE_APP_HOLDING:
    case CYCLE_APP_ENDED:
        return CYCLE_EFFECT_NONE;
    }
    abort();
}
