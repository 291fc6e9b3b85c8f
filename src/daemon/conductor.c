/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "conductor.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <systemd/sd-daemon.h>

#include "log.h"
#include "marker.h"
#include "names.h"
#include "roster.h"
#include "stamp.h"
#include "sync.h"
#include "util.h"
#include "wire.h"

struct conductor {
    const struct conductor_options *options;
    struct log *log;
    const struct conductor_handlers *handlers;
    void *data;
    struct workers *workers;
    struct sync *sync;
    sd_event_source *timer;
    struct cycle cycle;
    struct roster roster;
    uint64_t held_since;
    char *ended_why;            /* RELEASED: what the administrator said; RESTARTED:
                                 * what the marker says */
    char *last_failure;
    uint64_t stamp;
    /* events that came up while one was dealt with */
    struct cycle_event queue[2 * CYCLE_APPS_MAX];
    size_t n_queue;
    bool running;
};

__attribute__((format(printf, 2, 3))) static void warn(struct conductor *self,
                                                       const char *format, ...)
{
    char text[WIRE_TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    log_say(self->log, LOG_CONCERN, NULL, "%s", text);
    if (self->roster.warnings != NULL) {
        (void)json_object_array_add(self->roster.warnings, json_object_new_string(text));
    }
}

static void enqueue(struct conductor *self, enum cycle_event_type type, unsigned app)
{
    assert(self->n_queue < ARRAY_SIZE(self->queue));
    self->queue[self->n_queue++] = (struct cycle_event){.type = type, .app = app};
}

static void app_action(struct conductor *self, const struct cycle_action *action)
{
    unsigned i = action->app;
    struct member *member = &self->roster.members[i];
    uint64_t deadline = self->cycle.apps[i].deadline;
    int r = 0;

    if (action->type == CYCLE_ACTION_PREPARE_APP) {
        r = member_start(member, self->workers, i, deadline);
    } else if (action->type == CYCLE_ACTION_FREEZE_APP) {
        r = member_ask(member, "freeze", deadline, self->cycle.hold_deadline);
    } else if (action->type == CYCLE_ACTION_CHECK_APP) {
        r = member_ask(member, "check", deadline, 0);
    } else if (action->type == CYCLE_ACTION_THAW_APP) {
        r = member_ask(member, "thaw", deadline, 0);
    } else if (action->type == CYCLE_ACTION_ABORT_APP) {
        r = member_ask(member, "abort", deadline, 0);
    } else if (action->type == CYCLE_ACTION_KILL_APP) {
        member_kill(member);
        log_say(self->log, LOG_WORKER_KILLED, member, "its worker was late and is killed");
    } else if (action->type == CYCLE_ACTION_GIVE_UP_APP) {
        log_say(self->log, LOG_WORKER_STUCK, member,
                "its worker, process %d, was killed and does not die: what it holds stays held "
                "until it does",
                (int)member_give_up(member));
    } else {
        member_dismiss(member);
    }
    if (r < 0) {
        enqueue(self, CYCLE_EVENT_APP_GONE, i);
    }
}

static const char *cause_text(const struct conductor *self)
{
    return self->ended_why != NULL ? self->ended_why : name_of_cause(self->cycle.cause);
}

static void holds_ended(struct conductor *self)
{
    const char *why = cause_text(self);

    for (size_t i = 0; i < self->roster.n; i++) {
        struct member *member = &self->roster.members[i];

        if (self->cycle.apps[i].outcome == CYCLE_OUTCOME_LOST && member->error == NULL) {
            member_fail(member, "the hold was ended early: %s", why);
            member->lost_at = wall_usec();
        }
    }
    log_say(self->log, LOG_HOLDS_ENDED, NULL, "all holds are ended early: %s", why);
    (void)roster_write_marker(&self->roster, self->options->runtime_dir, why);
}

static void begin_sync(struct conductor *self)
{
    int r = sync_start(self->sync);

    if (r == -EBUSY) {
        warn(self, "no sync: the one of an earlier cycle still runs");
    } else if (r < 0) {
        warn(self, "no sync: cannot start a process: %s", strerror(-r));
    }
    if (r < 0) {
        enqueue(self, CYCLE_EVENT_SYNCED, 0);
    }
}

static void keep_failure(struct conductor *self)
{
    char *reason = conductor_reason(self);

    if (self->cycle.plan.rehearsal) {
        log_rehearsal(self->log, self->cycle.cause == CYCLE_CAUSE_OWNER_GONE ? NULL : reason);
        free(reason);
        return;
    }
    log_say(self->log, LOG_FREEZE_FAILED, NULL, "the freeze failed: %s",
            reason != NULL ? reason : strerror(ENOMEM));
    free(self->last_failure);
    self->last_failure = reason;
}

static void answer(struct conductor *self, enum cycle_action_type type)
{
    if (type == CYCLE_ACTION_ANSWER_FROZEN) {
        self->held_since = wall_usec();
    } else if (type == CYCLE_ACTION_ANSWER_COMMITTED) {
        log_say(self->log, LOG_HELD, NULL, "held: all required apps, %zu configured", self->roster.n);
        free(self->last_failure);
        self->last_failure = NULL;
    } else if (type == CYCLE_ACTION_ANSWER_THAWED) {
        CLEANUP_FREE char *reason = conductor_reason(self);

        if (cycle_consistent(&self->cycle)) {
            log_say(self->log, LOG_CONSISTENT, NULL, "thawed: consistent");
        } else {
            log_say(self->log, LOG_NOT_CONSISTENT, NULL, "thawed: not consistent: %s", reason);
        }
    }
    if (self->handlers->answer(self->data, type) < 0 &&
        type == CYCLE_ACTION_ANSWER_COMMITTED) {
        enqueue(self, CYCLE_EVENT_OWNER_GONE, 0);
    }
    if (type == CYCLE_ACTION_END) {
        self->held_since = 0;
    }
}

/* False when what comes after it in the list may not be done. */
static bool carry_out(struct conductor *self, const struct cycle_action *action)
{
    switch (action->type) {
    case CYCLE_ACTION_PREPARE_APP:
    case CYCLE_ACTION_FREEZE_APP:
    case CYCLE_ACTION_CHECK_APP:
    case CYCLE_ACTION_THAW_APP:
    case CYCLE_ACTION_ABORT_APP:
    case CYCLE_ACTION_KILL_APP:
    case CYCLE_ACTION_GIVE_UP_APP:
    case CYCLE_ACTION_DISMISS_APP:
        app_action(self, action);
        return true;
    case CYCLE_ACTION_SYNC:
        begin_sync(self);
        return true;
    case CYCLE_ACTION_ABANDON_SYNC:
        sync_abandon(self->sync);
        if (self->cycle.state != CYCLE_UNDOING) {
            warn(self, "sync was late: the holds may last longer than they need to");
        }
        return true;
    case CYCLE_ACTION_MARK: {
        int r = roster_write_marker(&self->roster, self->options->runtime_dir, NULL);

        if (r < 0) {
            warn(self, "cannot write the marker into '%s': %s", self->options->runtime_dir,
                 strerror(-r));
            enqueue(self, CYCLE_EVENT_MARKER_FAILED, 0);
        }
        return r == 0;
    }
    case CYCLE_ACTION_FREEZE_FAILED:
        keep_failure(self);
        return true;
    case CYCLE_ACTION_HOLDS_ENDED:
        holds_ended(self);
        return true;
    case CYCLE_ACTION_UNMARK:
        marker_remove(self->options->runtime_dir);
        return true;
    case CYCLE_ACTION_END:
    case CYCLE_ACTION_ANSWER_PREPARED:
    case CYCLE_ACTION_ANSWER_FROZEN:
    case CYCLE_ACTION_ANSWER_COMMITTED:
    case CYCLE_ACTION_ANSWER_FAILED:
    case CYCLE_ACTION_ANSWER_THAWED:
    case CYCLE_ACTION_REFUSE_RETRY:
    case CYCLE_ACTION_REFUSE_STATE:
        answer(self, action->type);
        return true;
    }
    abort();
}

static void notify(const struct conductor *self)
{
    if (self->cycle.state == CYCLE_HELD && self->cycle.hold_deadline != 0) {
        (void)sd_notifyf(0, "STATUS=Cycle %s holds %zu apps, %" PRIu64 " s at most", self->roster.id,
                         self->roster.n, self->cycle.plan.settings.hold_timeout / USEC_PER_SEC);
    } else {
        (void)sd_notifyf(0, "STATUS=%s", name_of_state(self->cycle.state));
    }
}

/* Between Commit and the end of the thaw a file system may be frozen. */
static bool may_be_frozen(const struct conductor *self)
{
    return self->cycle.state == CYCLE_HELD || self->cycle.state == CYCLE_THAWING;
}

static void step(struct conductor *self, const struct cycle_event *event)
{
    enum cycle_state before = self->cycle.state;
    struct cycle_actions actions;

    cycle_event(&self->cycle, event, now_usec(), &actions);
    if (may_be_frozen(self)) {
        log_set_frozen(self->log, true);
    }
    if (before == CYCLE_HELD && self->cycle.cause == CYCLE_CAUSE_SUPERSEDED) {
        log_say(self->log, LOG_SUPERSEDED, NULL, "ended: %s", name_of_cause(self->cycle.cause));
    }
    for (size_t i = 0; i < actions.n; i++) {
        if (!carry_out(self, &actions.list[i])) {
            break;
        }
    }
    if (self->cycle.state != before) {
        notify(self);
    }
}

void conductor_event(struct conductor *self, const struct cycle_event *event)
{
    assert(!self->running);
    self->running = true;
    step(self, event);
    for (size_t i = 0; i < self->n_queue; i++) {
        struct cycle_event queued = self->queue[i];

        step(self, &queued);
    }
    self->n_queue = 0;
    self->running = false;
    if (!may_be_frozen(self)) {
        log_set_frozen(self->log, false);
    }
    (void)sd_event_source_set_time(self->timer, cycle_next_deadline(&self->cycle));
    (void)sd_event_source_set_enabled(self->timer, SD_EVENT_ONESHOT);
    self->handlers->settled(self->data);
}

static void app_event(struct conductor *self, enum cycle_event_type type, unsigned app)
{
    conductor_event(self, &(struct cycle_event){.type = type, .app = app});
}

static void on_message(void *data, struct worker *worker, json_object *message)
{
    struct conductor *self = data;
    unsigned i = worker_index(worker);
    struct member *member = &self->roster.members[i];
    enum cycle_event_type type;
    const char *level = NULL;

    if (wire_get_string(message, "log", &level) == 0) {
        CLEANUP_FREE char *text = NULL;
        int priority = member_take_log(member, message, level, &text);

        log_relay(self->log, priority, member, text != NULL ? text : "");
    } else if (member_hear(member, message, cycle_app_waits(&self->cycle, i), &type)) {
        if (type == CYCLE_EVENT_APP_LOST) {
            log_say(self->log, LOG_APP_LOST, member, "%s", member->error);
        } else if (type == CYCLE_EVENT_APP_OK && strcmp(member->phase, "freeze") == 0) {
            log_say(self->log, LOG_APP_HELD, member, "held by %s",
                    member->method != NULL ? member->method : member->app->plugin);
        }
        app_event(self, type, i);
    }
}

static void on_gone(void *data, struct worker *worker, const char *how)
{
    struct conductor *self = data;
    unsigned i = worker_index(worker);
    struct member *member = &self->roster.members[i];

    member_bury(member, how, self->cycle.apps[i].outcome);
    if (self->cycle.apps[i].outcome == CYCLE_OUTCOME_HELD) {
        log_say(self->log, LOG_APP_LOST, member, "%s", member->error);
    }
    app_event(self, CYCLE_EVENT_APP_GONE, i);
}

static const struct worker_handlers worker_handlers = {
    .message = on_message,
    .gone = on_gone,
};

static int on_time(sd_event_source *source, uint64_t usec, void *data)
{
    (void)source;
    (void)usec;
    conductor_event(data, &(struct cycle_event){.type = CYCLE_EVENT_TIME});
    return 0;
}

static void on_synced(void *data)
{
    conductor_event(data, &(struct cycle_event){.type = CYCLE_EVENT_SYNCED});
}

/* A daemon before us held, and was stopped or died. */
static void look_for_marker(struct conductor *self)
{
    CLEANUP_FREE char *cycle = NULL;
    char *reason = NULL;
    int r = marker_read(self->options->runtime_dir, &cycle, &reason);

    if (r == 0) {
        return;
    }
    (void)snprintf(self->roster.id, sizeof(self->roster.id), "%s", r > 0 && cycle != NULL ? cycle : "");
    self->ended_why = reason;
    log_say(self->log, LOG_RESTARTED, NULL,
        "an earlier daemon ended while it held: the next thaw will say so");
    step(self, &(struct cycle_event){.type = CYCLE_EVENT_MARKER_FOUND});
}

int conductor_new(sd_event *event, const struct conductor_options *options,
                  struct journal *journal, const struct conductor_handlers *handlers, void *data,
                  struct conductor **ret_conductor)
{
    struct conductor *self = calloc(1, sizeof(*self));
    int r;

    if (self == NULL) {
        return -ENOMEM;
    }
    *self = (struct conductor){.options = options, .handlers = handlers, .data = data};
    r = log_new(event, journal, &self->log);
    if (r < 0) {
        free(self);
        return r;
    }
    log_set_cycle(self->log, self->roster.id);
    r = workers_new(event, &options->paths, &worker_handlers, self, &self->workers);
    if (r >= 0) {
        r = sync_new(event, on_synced, self, &self->sync);
    }
    if (r >= 0) {
        r = sd_event_add_time(event, &self->timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_time, self);
    }
    if (r < 0) {
        (void)conductor_free(self);
        return r;
    }
    look_for_marker(self);
    *ret_conductor = self;
    return 0;
}

struct conductor *conductor_free(struct conductor *self)
{
    if (self != NULL) {
        (void)workers_free(self->workers);
        if (self->cycle.state == CYCLE_UNDOING) {
            /* undone now: nobody thaws after a failed freeze */
            marker_remove(self->options->runtime_dir);
        }
        (void)sync_free(self->sync);
        sd_event_source_disable_unref(self->timer);
        (void)log_free(self->log);
        roster_clear(&self->roster);
        free(self->ended_why);
        free(self->last_failure);
        free(self);
    }
    return NULL;
}

int conductor_prepare(struct conductor *self, uint64_t forward_deadline, uint64_t undo_deadline,
                      bool rehearsal, char **ret_error)
{
    const char *config_dir = self->options->paths.config_dir;
    uint64_t stamp = stamp_of_config(config_dir);
    struct cycle_plan plan;
    int r;

    assert(self->cycle.state == CYCLE_IDLE);
    free(self->ended_why);
    self->ended_why = NULL;
    log_begin(self->log);
    r = roster_load(&self->roster, config_dir, &plan, ret_error);
    if (r < 0) {
        log_say(self->log, LOG_FREEZE_FAILED, NULL, "the freeze failed: %s",
                *ret_error != NULL ? *ret_error : strerror(-r));
        return r;
    }
    if (self->roster.apps.warnings != NULL) {
        log_say(self->log, LOG_CONCERN, NULL, "%s", self->roster.apps.warnings);
    }
    plan.config_changed = stamp != self->stamp;
    self->stamp = stamp;
    plan.rehearsal = rehearsal;
    plan.forward_deadline = forward_deadline;
    plan.undo_deadline = undo_deadline;
    conductor_event(self, &(struct cycle_event){.type = CYCLE_EVENT_PREPARE, .plan = &plan});
    return 0;
}

void conductor_release(struct conductor *self, const char *reason)
{
    if (reason != NULL && cycle_busy(&self->cycle)) {
        free(self->ended_why);
        if (asprintf(&self->ended_why, "%s: %s", name_of_cause(CYCLE_CAUSE_RELEASED), reason) <
            0) {
            self->ended_why = NULL;
        }
    }
    conductor_event(self, &(struct cycle_event){.type = CYCLE_EVENT_RELEASE});
}

const struct cycle *conductor_cycle(const struct conductor *self)
{
    return &self->cycle;
}

const char *conductor_id(const struct conductor *self)
{
    return self->roster.id;
}

uint64_t conductor_held_since(const struct conductor *self)
{
    return self->held_since;
}

json_object *conductor_apps(const struct conductor *self)
{
    return roster_describe(&self->roster, &self->cycle);
}

json_object *conductor_warnings(const struct conductor *self)
{
    return roster_warnings(&self->roster);
}

char *conductor_reason(const struct conductor *self)
{
    char *text = roster_reason(&self->roster, &self->cycle);

    if (text == NULL && cause_text(self) != NULL) {
        text = strdup(cause_text(self));
    }
    return text;
}

const char *conductor_last_failure(const struct conductor *self)
{
    return self->last_failure;
}
