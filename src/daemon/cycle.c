/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cycle.h"
#include "cycle_app.h"

#include <assert.h>
#include <stdlib.h>

/* Does the owner wait for the answer to Prepare or Freeze? */
static bool call_pending(const struct cycle *cycle)
{
    return cycle_uncommitted(cycle) && cycle->state != CYCLE_PREPARED && cycle->state != CYCLE_FROZEN;
}

/* Ends the cycle. What became of its apps stays to be read until the next one. */
static void enter_idle(struct cycle *cycle, struct cycle_actions *actions)
{
    cycle_act(actions, CYCLE_ACTION_END, 0);
    cycle->state = CYCLE_IDLE;
    cycle->optional_deadline = 0;
    cycle->hold_deadline = 0;
    cycle->owner = false;
    cycle->owner_waits = false;
}

static void undo_advance(struct cycle *cycle, struct cycle_actions *actions)
{
    if (cycle_busy(cycle)) {
        return;
    }
    cycle_act(actions, CYCLE_ACTION_UNMARK, 0);
    if (cycle->thawer) {
        cycle_act(actions, CYCLE_ACTION_ANSWER_THAWED, 0);
        cycle->thawer = false;
    }
    if (cycle->owner_waits) {
        cycle_act(actions, CYCLE_ACTION_ANSWER_FAILED, 0);
        enter_idle(cycle, actions);
    } else if (cycle->owner) {
        cycle->state = CYCLE_FAILED;
    } else {
        enter_idle(cycle, actions);
    }
}

static void undo(struct cycle *cycle, enum cycle_cause cause, uint64_t now,
                 struct cycle_actions *actions)
{
    bool asked = cycle->hold_deadline != 0 && cause != CYCLE_CAUSE_MARKER;

    cycle->owner_waits =
        cycle->owner && (call_pending(cycle) || cause == CYCLE_CAUSE_MARKER);
    cycle->state = CYCLE_UNDOING;
    cycle->cause = cause;
    cycle->optional_deadline = 0;
    if (asked && cause != CYCLE_CAUSE_SUPERSEDED && !cycle->plan.rehearsal &&
        cycle->plan.settings.retry_after > 0) {
        cycle->retry_at = now + cycle->plan.settings.retry_after;
    }
    if (cycle->sync_deadline != 0) {
        cycle->sync_deadline = 0;
        cycle_act(actions, CYCLE_ACTION_ABANDON_SYNC, 0);
    }
    for (unsigned i = 0; i < cycle->plan.n_apps; i++) {
        if (cycle_app_active(&cycle->apps[i])) {
            cycle_app_abort(cycle, i, now, actions);
        }
    }
    if (cause != CYCLE_CAUSE_SUPERSEDED) {
        cycle_act(actions, CYCLE_ACTION_FREEZE_FAILED, 0);
    }
    undo_advance(cycle, actions);
}

/* HELD: lets go of everything before the thaw, which will tell of it. */
static void end_holds(struct cycle *cycle, enum cycle_cause cause, uint64_t now,
                      struct cycle_actions *actions)
{
    cycle->cause = cause;
    cycle->hold_deadline = 0;
    for (unsigned i = 0; i < cycle->plan.n_apps; i++) {
        if (cycle_app_active(&cycle->apps[i])) {
            cycle->apps[i].outcome = CYCLE_OUTCOME_LOST;
            cycle_app_abort(cycle, i, now, actions);
        }
    }
    cycle_act(actions, CYCLE_ACTION_HOLDS_ENDED, 0);
}

static void begin_sync(struct cycle *cycle, uint64_t now, struct cycle_actions *actions)
{
    uint64_t left = cycle->plan.forward_deadline > now ? cycle->plan.forward_deadline - now : 0;

    cycle->sync_deadline = now + cycle_earlier(CYCLE_SYNC_MAX, left / 3);
    cycle_act(actions, CYCLE_ACTION_SYNC, 0);
}

static void prepare_advance(struct cycle *cycle, struct cycle_actions *actions)
{
    if (!cycle_any_app_in(cycle, CYCLE_APP_PREPARING) && cycle->sync_deadline == 0) {
        cycle->state = CYCLE_PREPARED;
        cycle_act(actions, CYCLE_ACTION_ANSWER_PREPARED, 0);
    }
}

static void check_advance(struct cycle *cycle, struct cycle_actions *actions)
{
    if (!cycle_any_app_in(cycle, CYCLE_APP_CHECKING)) {
        cycle->state = CYCLE_FROZEN;
        cycle_act(actions, CYCLE_ACTION_ANSWER_FROZEN, 0);
    }
}

static void begin_check(struct cycle *cycle, uint64_t now, struct cycle_actions *actions)
{
    cycle->state = CYCLE_CHECKING;
    for (unsigned i = 0; i < cycle->plan.n_apps; i++) {
        cycle_app_check(cycle, i, now, actions);
    }
    check_advance(cycle, actions);
}

static void freeze_advance(struct cycle *cycle, uint64_t now, struct cycle_actions *actions)
{
    if (!cycle_any_app_in(cycle, CYCLE_APP_FREEZING)) {
        cycle->optional_deadline = 0;
        begin_check(cycle, now, actions);
        return;
    }
    for (unsigned i = 0; i < cycle->plan.n_apps; i++) {
        if (cycle->apps[i].state == CYCLE_APP_FREEZING && cycle_required(cycle, i)) {
            return;
        }
    }
    if (cycle->optional_deadline == 0) {
        cycle->optional_deadline = now + CYCLE_OPTIONAL_EXTRA;
    }
}

static void begin_freeze(struct cycle *cycle, uint64_t now, struct cycle_actions *actions)
{
    uint64_t deadline =
        cycle_earlier(now + cycle->plan.settings.hold_attempt, cycle->plan.forward_deadline);

    cycle->state = CYCLE_FREEZING;
    cycle->hold_deadline = now + cycle->plan.settings.hold_timeout;
    if (!cycle->plan.rehearsal) {
        cycle_act(actions, CYCLE_ACTION_MARK, 0);
    }
    for (unsigned i = 0; i < cycle->plan.n_apps; i++) {
        if (cycle->apps[i].state == CYCLE_APP_READY) {
            cycle_app_enter(cycle, i, CYCLE_APP_FREEZING, deadline);
            cycle_act(actions, CYCLE_ACTION_FREEZE_APP, i);
        }
    }
    freeze_advance(cycle, now, actions);
}

static void thaw_advance(struct cycle *cycle, struct cycle_actions *actions)
{
    if (cycle_busy(cycle)) {
        return;
    }
    if (!cycle->thawer) {
        /* nobody took the verdict: it is kept for the next thaw */
        cycle->state = CYCLE_HELD;
        cycle->hold_deadline = 0;
        return;
    }
    cycle->thawer = false;
    /* in this order: whoever has the verdict may thaw again, and finds no marker */
    cycle_act(actions, CYCLE_ACTION_UNMARK, 0);
    cycle_act(actions, CYCLE_ACTION_ANSWER_THAWED, 0);
    enter_idle(cycle, actions);
}

/* Goes on when nothing of the state is left to wait for. */
static void advance(struct cycle *cycle, uint64_t now, struct cycle_actions *actions)
{
    switch (cycle->state) {
    case CYCLE_PREPARING:
        prepare_advance(cycle, actions);
        return;
    case CYCLE_FREEZING:
        freeze_advance(cycle, now, actions);
        return;
    case CYCLE_CHECKING:
        check_advance(cycle, actions);
        return;
    case CYCLE_THAWING:
        thaw_advance(cycle, actions);
        return;
    case CYCLE_UNDOING:
        undo_advance(cycle, actions);
        return;
    case CYCLE_IDLE:
    case CYCLE_PREPARED:
    case CYCLE_SYNCING:
    case CYCLE_FROZEN:
    case CYCLE_HELD:
    case CYCLE_FAILED:
        return;
    }
    abort();
}

static void apply(struct cycle *cycle, enum cycle_effect effect, uint64_t now,
                  struct cycle_actions *actions)
{
    switch (effect) {
    case CYCLE_EFFECT_NONE:
        return;
    case CYCLE_EFFECT_ADVANCE:
        advance(cycle, now, actions);
        return;
    case CYCLE_EFFECT_FAIL:
        undo(cycle, CYCLE_CAUSE_APP, now, actions);
        return;
    }
    abort();
}

static void prepare(struct cycle *cycle, const struct cycle_plan *plan, uint64_t now,
                    struct cycle_actions *actions)
{
    uint64_t left = plan->forward_deadline > now ? plan->forward_deadline - now : 0;

    assert(plan->n_apps <= CYCLE_APPS_MAX);
    if (cycle->retry_at > now && !plan->config_changed && !plan->rehearsal) {
        cycle_act(actions, CYCLE_ACTION_REFUSE_RETRY, 0);
        return;
    }
    *cycle = (struct cycle){
        .state = CYCLE_PREPARING,
        .plan = *plan,
        .retry_at = plan->rehearsal && !plan->config_changed ? cycle->retry_at : 0,
        .owner = true,
    };
    if (plan->settings.sync) {
        begin_sync(cycle, now, actions);
    }
    for (unsigned i = 0; i < plan->n_apps; i++) {
        /* the other half is for scripts and holds */
        cycle_app_enter(cycle, i, CYCLE_APP_PREPARING, now + left / 2);
        cycle_act(actions, CYCLE_ACTION_PREPARE_APP, i);
    }
    prepare_advance(cycle, actions);
}

static void freeze(struct cycle *cycle, bool sync, uint64_t now, struct cycle_actions *actions)
{
    if (sync && cycle->plan.settings.sync) {
        cycle->state = CYCLE_SYNCING;
        begin_sync(cycle, now, actions);
    } else {
        begin_freeze(cycle, now, actions);
    }
}

static void commit(struct cycle *cycle, struct cycle_actions *actions)
{
    cycle->state = CYCLE_HELD;
    cycle->owner = false;
    cycle->retry_at = 0;
    cycle_act(actions, CYCLE_ACTION_ANSWER_COMMITTED, 0);
}

static void thaw(struct cycle *cycle, uint64_t deadline, uint64_t now,
                 struct cycle_actions *actions)
{
    if (cycle->thawer) {
        cycle_act(actions, CYCLE_ACTION_REFUSE_STATE, 0);
        return;
    }
    if (cycle_uncommitted(cycle)) {
        cycle->thawer = true;
        undo(cycle, CYCLE_CAUSE_THAWED, now, actions);
    } else if (cycle->state == CYCLE_UNDOING) {
        cycle->thawer = true;
        cycle->cause = CYCLE_CAUSE_THAWED;
    } else if (cycle->state == CYCLE_HELD || cycle->state == CYCLE_THAWING) {
        cycle->state = CYCLE_THAWING;
        cycle->thawer = true;
        cycle->hold_deadline = 0;
        for (unsigned i = 0; i < cycle->plan.n_apps; i++) {
            cycle_app_thaw(cycle, i, deadline, actions);
        }
        thaw_advance(cycle, actions);
    } else {
        cycle_act(actions, CYCLE_ACTION_REFUSE_STATE, 0);
    }
}

/* A call of the owner in a state that does not fit it. */
static void misplaced_call(struct cycle *cycle, struct cycle_actions *actions)
{
    if (cycle->state == CYCLE_UNDOING) {
        cycle->owner_waits = true;
    } else if (cycle->state == CYCLE_FAILED) {
        cycle_act(actions, CYCLE_ACTION_ANSWER_FAILED, 0);
        enter_idle(cycle, actions);
    } else {
        cycle_act(actions, CYCLE_ACTION_REFUSE_STATE, 0);
    }
}

static void owner_gone(struct cycle *cycle, uint64_t now, struct cycle_actions *actions)
{
    cycle->owner = false;
    cycle->owner_waits = false;
    if (cycle_uncommitted(cycle) || cycle->state == CYCLE_HELD) {
        /* after Commit only when its answer did not go out */
        undo(cycle, CYCLE_CAUSE_OWNER_GONE, now, actions);
    } else if (cycle->state == CYCLE_FAILED) {
        enter_idle(cycle, actions);
    }
}

static void release(struct cycle *cycle, enum cycle_cause cause, uint64_t now,
                    struct cycle_actions *actions)
{
    if (cycle_uncommitted(cycle)) {
        undo(cycle, cause, now, actions);
    } else if (cycle->state == CYCLE_HELD && cycle->hold_deadline != 0) {
        end_holds(cycle, cause, now, actions);
    }
}

static void synced(struct cycle *cycle, uint64_t now, struct cycle_actions *actions)
{
    if (cycle->sync_deadline == 0) {
        return;
    }
    cycle->sync_deadline = 0;
    if (cycle->state == CYCLE_SYNCING) {
        begin_freeze(cycle, now, actions);
    } else if (cycle->state == CYCLE_PREPARING) {
        prepare_advance(cycle, actions);
    }
}

static void optional_late(struct cycle *cycle, uint64_t now, struct cycle_actions *actions)
{
    cycle->optional_deadline = 0;
    for (unsigned i = 0; i < cycle->plan.n_apps; i++) {
        if (cycle->apps[i].state == CYCLE_APP_FREEZING) {
            cycle->apps[i].outcome = CYCLE_OUTCOME_FAILED;
            cycle_app_abort(cycle, i, now, actions);
        }
    }
    freeze_advance(cycle, now, actions);
}

/* When the work of the state as a whole is late; UINT64_MAX: never. */
static uint64_t state_deadline(const struct cycle *cycle)
{
    uint64_t hold = cycle->hold_deadline != 0 ? cycle->hold_deadline : UINT64_MAX;

    switch (cycle->state) {
    case CYCLE_PREPARING:
    case CYCLE_PREPARED:
    case CYCLE_SYNCING:
    case CYCLE_FREEZING:
    case CYCLE_CHECKING:
        return cycle_earlier(hold, cycle->plan.forward_deadline);
    case CYCLE_FROZEN:
        return cycle_earlier(hold, cycle->plan.undo_deadline);
    case CYCLE_HELD:
        return hold;
    case CYCLE_IDLE:
    case CYCLE_THAWING:
    case CYCLE_UNDOING:
    case CYCLE_FAILED:
        return UINT64_MAX;
    }
    abort();
}

uint64_t cycle_next_deadline(const struct cycle *cycle)
{
    uint64_t next = state_deadline(cycle);

    if (cycle->sync_deadline != 0) {
        next = cycle_earlier(next, cycle->sync_deadline);
    }
    if (cycle->optional_deadline != 0) {
        next = cycle_earlier(next, cycle->optional_deadline);
    }
    for (unsigned i = 0; i < cycle->plan.n_apps; i++) {
        if (cycle->apps[i].deadline != 0) {
            next = cycle_earlier(next, cycle->apps[i].deadline);
        }
    }
    return next;
}

static void time_passed(struct cycle *cycle, uint64_t now, struct cycle_actions *actions)
{
    for (unsigned i = 0; i < cycle->plan.n_apps; i++) {
        if (cycle->apps[i].deadline != 0 && cycle->apps[i].deadline <= now) {
            apply(cycle, cycle_app_late(cycle, i, now, actions), now, actions);
        }
    }
    if (cycle->sync_deadline != 0 && cycle->sync_deadline <= now) {
        cycle_act(actions, CYCLE_ACTION_ABANDON_SYNC, 0);
        synced(cycle, now, actions);
    }
    if (cycle->optional_deadline != 0 && cycle->optional_deadline <= now) {
        optional_late(cycle, now, actions);
    }
    if (state_deadline(cycle) <= now) {
        enum cycle_cause cause = cycle->hold_deadline != 0 && cycle->hold_deadline <= now
                                     ? CYCLE_CAUSE_HOLD_DEADLINE
                                     : CYCLE_CAUSE_LATE;

        release(cycle, cause, now, actions);
    }
}

void cycle_event(struct cycle *cycle, const struct cycle_event *event, uint64_t now,
                 struct cycle_actions *ret_actions)
{
    ret_actions->n = 0;
    switch (event->type) {
    case CYCLE_EVENT_PREPARE:
        if (cycle->state == CYCLE_IDLE) {
            prepare(cycle, event->plan, now, ret_actions);
        } else {
            misplaced_call(cycle, ret_actions);
        }
        return;
    case CYCLE_EVENT_FREEZE:
        if (cycle->state == CYCLE_PREPARED) {
            freeze(cycle, event->sync, now, ret_actions);
        } else {
            misplaced_call(cycle, ret_actions);
        }
        return;
    case CYCLE_EVENT_COMMIT:
        if (cycle->state == CYCLE_FROZEN && !cycle->plan.rehearsal) {
            commit(cycle, ret_actions);
        } else {
            misplaced_call(cycle, ret_actions);
        }
        return;
    case CYCLE_EVENT_OWNER_GONE:
        owner_gone(cycle, now, ret_actions);
        return;
    case CYCLE_EVENT_THAW:
        thaw(cycle, event->deadline, now, ret_actions);
        return;
    case CYCLE_EVENT_THAWER_GONE:
        cycle->thawer = false;
        return;
    case CYCLE_EVENT_RELEASE:
        release(cycle, CYCLE_CAUSE_RELEASED, now, ret_actions);
        return;
    case CYCLE_EVENT_SUPERSEDE:
        if (cycle->state == CYCLE_HELD ||
            (cycle_uncommitted(cycle) && cycle->plan.rehearsal)) {
            undo(cycle, CYCLE_CAUSE_SUPERSEDED, now, ret_actions);
        }
        return;
    case CYCLE_EVENT_RESET:
        cycle->retry_at = 0;
        return;
    case CYCLE_EVENT_APP_OK:
    case CYCLE_EVENT_APP_SKIPPED:
    case CYCLE_EVENT_APP_FAILED:
    case CYCLE_EVENT_APP_LOST:
    case CYCLE_EVENT_APP_ABORTED:
    case CYCLE_EVENT_APP_GONE:
        apply(cycle, cycle_app_event(cycle, event, now, ret_actions), now, ret_actions);
        return;
    case CYCLE_EVENT_SYNCED:
        synced(cycle, now, ret_actions);
        return;
    case CYCLE_EVENT_TIME:
        time_passed(cycle, now, ret_actions);
        return;
    case CYCLE_EVENT_TERMINATE:
        release(cycle, CYCLE_CAUSE_TERMINATED, now, ret_actions);
        return;
    case CYCLE_EVENT_MARKER_FOUND:
        assert(cycle->state == CYCLE_IDLE);
        *cycle = (struct cycle){.state = CYCLE_HELD, .cause = CYCLE_CAUSE_RESTARTED};
        return;
    case CYCLE_EVENT_MARKER_FAILED:
        if (cycle_uncommitted(cycle)) {
            undo(cycle, CYCLE_CAUSE_MARKER, now, ret_actions);
        }
        return;
    }
    abort();
}
