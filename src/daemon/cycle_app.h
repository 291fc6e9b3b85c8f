/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cycle_app.h: the half of cycle.h's state machine that is one app's */
#ifndef QUIESCED_CYCLE_APP_H
#define QUIESCED_CYCLE_APP_H

#include "cycle.h"

/* What an app's step means for the cycle. */
enum cycle_effect {
    CYCLE_EFFECT_NONE,
    CYCLE_EFFECT_ADVANCE,       /* one thing less to wait for */
    CYCLE_EFFECT_FAIL,          /* a required app failed before Commit */
};

static inline uint64_t cycle_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void cycle_act(struct cycle_actions *actions, enum cycle_action_type type, unsigned app);

/* Is the freeze under way, so that a failure undoes it? */
bool cycle_uncommitted(const struct cycle *cycle);
bool cycle_any_app_in(const struct cycle *cycle, enum cycle_app_state state);

void cycle_app_enter(struct cycle *cycle, unsigned app, enum cycle_app_state state,
                     uint64_t deadline);
/* Does the worker live, and has it not been told to end? */
bool cycle_app_active(const struct cycle_app *app);
/* One that holds is asked whether it does. All hold by now and stop their writers, so it
 * has no more time than for taking the hold, and an optional one a moment. */
void cycle_app_check(struct cycle *cycle, unsigned app, uint64_t now,
                     struct cycle_actions *actions);
/* One that holds lets go by @deadline; one that does already has no more time either. */
void cycle_app_thaw(struct cycle *cycle, unsigned app, uint64_t deadline,
                    struct cycle_actions *actions);
/* Tells the worker to let go and end. */
void cycle_app_abort(struct cycle *cycle, unsigned app, uint64_t now,
                     struct cycle_actions *actions);
/* One of CYCLE_EVENT_APP_... */
enum cycle_effect cycle_app_event(struct cycle *cycle, const struct cycle_event *event,
                                  uint64_t now, struct cycle_actions *actions);
/* The app's deadline has passed. */
enum cycle_effect cycle_app_late(struct cycle *cycle, unsigned app, uint64_t now,
                                 struct cycle_actions *actions);

#endif
