/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "conductor.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <sys/random.h>
#include <systemd/sd-daemon.h>

#include "apps.h"
#include "marker.h"
#include "member.h"
#include "names.h"
#include "settings.h"
#include "stamp.h"
#include "sync.h"
#include "util.h"
#include "wire.h"

#define ID_BYTES 16U
#define JOURNAL_RETRY (100 * USEC_PER_MSEC)

struct conductor {
    sd_event *event;
    const struct conductor_options *options;
    struct journal *journal;
    const struct conductor_handlers *handlers;
    void *data;
    struct workers *workers;
    struct sync *sync;
    sd_event_source *timer;
    sd_event_source *journal_timer;
    struct cycle cycle;
    struct apps apps;
    struct member members[CYCLE_APPS_MAX];
    size_t n_members;
    json_object *warnings;
    char id[2 * ID_BYTES + 1];
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

__attribute__((format(printf, 4, 5))) static void
say(struct conductor *self, int priority, const struct member *member, const char *format, ...)
{
    char text[2 * WIRE_TEXT_MAX];
    va_list arguments;
    const struct journal_field fields[] = {
        {"QUIESCED_CYCLE", self->id[0] != '\0' ? self->id : NULL},
        {"QUIESCED_APP", member != NULL ? member->app->name : NULL},
        {"QUIESCED_PHASE", member != NULL ? member->phase : NULL},
        {NULL, NULL},
    };

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (member != NULL) {
        journal_log(self->journal, priority, fields, "app '%s': %s", member->app->name, text);
    } else {
        journal_log(self->journal, priority, fields, "%s", text);
    }
}

__attribute__((format(printf, 2, 3))) static void warn(struct conductor *self,
                                                       const char *format, ...)
{
    char text[WIRE_TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    say(self, LOG_WARNING, NULL, "%s", text);
    if (self->warnings != NULL) {
        (void)json_object_array_add(self->warnings, json_object_new_string(text));
    }
}

/* What the cycle gave the worker, less the margin in which it can still say why it
 * is late. */
static uint64_t worker_deadline(uint64_t deadline)
{
    uint64_t left = sub_usec(deadline, now_usec());

    return deadline - min_usec(DEADLINE_MARGIN, left / 4);
}

static void enqueue(struct conductor *self, enum cycle_event_type type, unsigned app)
{
    assert(self->n_queue < ARRAY_SIZE(self->queue));
    self->queue[self->n_queue++] = (struct cycle_event){.type = type, .app = app};
}

static void request(struct conductor *self, unsigned i, const char *phase, uint64_t deadline,
                    uint64_t hold_deadline)
{
    struct member *member = &self->members[i];
    json_object *message = json_object_new_object();

    (void)json_object_object_add(message, "do", json_object_new_string(phase));
    (void)json_object_object_add(message, "deadline", json_object_new_int64((int64_t)deadline));
    if (strcmp(phase, "prepare") == 0) {
        (void)json_object_object_add(message, "protocol", json_object_new_int(WIRE_PROTOCOL));
        (void)json_object_object_add(message, "plugin",
                                     json_object_new_string(member->app->plugin));
    }
    if (hold_deadline != 0) {
        (void)json_object_object_add(message, "hold_deadline",
                                     json_object_new_int64((int64_t)hold_deadline));
    }
    if (strcmp(phase, "abort") != 0) {
        member->phase = phase;
        member->asked_at = now_usec();
    }
    if (worker_request(member->worker, message) < 0) {
        /* it dies, and gone() follows */
        worker_kill(member->worker);
    }
    json_object_put(message);
}

static void start_worker(struct conductor *self, unsigned i)
{
    struct member *member = &self->members[i];
    pid_t stuck = workers_stuck(self->workers, member->app->name);
    int r;

    if (stuck != 0) {
        member_fail(member, "its worker of an earlier cycle, process %d, cannot be killed",
                    (int)stuck);
        enqueue(self, CYCLE_EVENT_APP_GONE, i);
        return;
    }
    r = worker_start(self->workers, member->app->name, i, &member->worker);
    if (r < 0) {
        member_fail(member, "cannot start '%s': %s", self->options->paths.worker, strerror(-r));
        enqueue(self, CYCLE_EVENT_APP_GONE, i);
        return;
    }
    request(self, i, "prepare", worker_deadline(self->cycle.apps[i].deadline), 0);
}

static void kill_worker(struct conductor *self, unsigned i)
{
    struct member *member = &self->members[i];

    member_fail(member, "it did not answer '%s' in time, and its worker was killed",
                member->phase);
    if (member->worker != NULL) {
        say(self, LOG_WARNING, member, "its worker was late and is killed");
        worker_kill(member->worker);
    }
}

static void let_go_of_worker(struct conductor *self, unsigned i, enum cycle_action_type how)
{
    struct member *member = &self->members[i];

    if (member->worker == NULL) {
        return;
    }
    if (how == CYCLE_ACTION_GIVE_UP_APP) {
        worker_give_up(member->worker);
        say(self, LOG_ERR, member, "its worker, process %d, was killed and does not die; "
                                   "what it holds stays held until it does",
            (int)workers_stuck(self->workers, member->app->name));
    } else {
        worker_dismiss(member->worker);
    }
    member->worker = NULL;
}

static void app_action(struct conductor *self, const struct cycle_action *action)
{
    unsigned i = action->app;
    uint64_t deadline = self->cycle.apps[i].deadline;

    if (action->type == CYCLE_ACTION_PREPARE_APP) {
        start_worker(self, i);
    } else if (action->type == CYCLE_ACTION_KILL_APP) {
        kill_worker(self, i);
    } else if (action->type == CYCLE_ACTION_GIVE_UP_APP ||
               action->type == CYCLE_ACTION_DISMISS_APP) {
        let_go_of_worker(self, i, action->type);
    } else if (self->members[i].worker == NULL) {
        enqueue(self, CYCLE_EVENT_APP_GONE, i);
    } else if (action->type == CYCLE_ACTION_FREEZE_APP) {
        request(self, i, "freeze", worker_deadline(deadline), self->cycle.hold_deadline);
    } else if (action->type == CYCLE_ACTION_CHECK_APP) {
        request(self, i, "check", worker_deadline(deadline), 0);
    } else if (action->type == CYCLE_ACTION_THAW_APP) {
        request(self, i, "thaw", worker_deadline(deadline), 0);
    } else {
        request(self, i, "abort", worker_deadline(deadline), 0);
    }
}

static const char *cause_text(const struct conductor *self)
{
    return self->ended_why != NULL ? self->ended_why : name_of_cause(self->cycle.cause);
}

static int write_marker(struct conductor *self, const char *reason)
{
    const char *names[CYCLE_APPS_MAX];

    for (size_t i = 0; i < self->n_members; i++) {
        names[i] = self->members[i].app->name;
    }
    return marker_write(self->options->runtime_dir, self->id, names, self->n_members, reason);
}

static void holds_ended(struct conductor *self)
{
    const char *why = cause_text(self);

    for (size_t i = 0; i < self->n_members; i++) {
        struct member *member = &self->members[i];

        if (self->cycle.apps[i].outcome == CYCLE_OUTCOME_LOST && member->error == NULL) {
            member_fail(member, "the hold was ended early: %s", why);
            member->lost_at = wall_usec();
        }
    }
    say(self, LOG_ERR, NULL, "all holds are ended early: %s", why);
    (void)write_marker(self, why);
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

    say(self, LOG_ERR, NULL, "the freeze failed: %s", reason != NULL ? reason : "out of memory");
    free(self->last_failure);
    self->last_failure = reason;
}

static void answer(struct conductor *self, enum cycle_action_type type)
{
    if (type == CYCLE_ACTION_ANSWER_COMMITTED) {
        self->held_since = wall_usec();
        free(self->last_failure);
        self->last_failure = NULL;
    } else if (type == CYCLE_ACTION_ANSWER_THAWED) {
        CLEANUP_FREE char *reason = conductor_reason(self);

        if (cycle_consistent(&self->cycle)) {
            say(self, LOG_INFO, NULL, "thawed: consistent");
        } else {
            say(self, LOG_ERR, NULL, "thawed: not consistent: %s", reason);
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
        int r = write_marker(self, NULL);

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

static void set_journal_timer(struct conductor *self)
{
    if (journal_pending(self->journal)) {
        (void)sd_event_source_set_time_relative(self->journal_timer, JOURNAL_RETRY);
        (void)sd_event_source_set_enabled(self->journal_timer, SD_EVENT_ONESHOT);
    }
}

static void notify(const struct conductor *self)
{
    if (self->cycle.state == CYCLE_HELD && self->cycle.hold_deadline != 0) {
        (void)sd_notifyf(0, "STATUS=Cycle %s holds %zu apps, %" PRIu64 " s at most", self->id,
                         self->n_members, self->cycle.plan.settings.hold_timeout / USEC_PER_SEC);
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
        journal_hold(self->journal, true);
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
        journal_hold(self->journal, false);
    }
    set_journal_timer(self);
    (void)sd_event_source_set_time(self->timer, cycle_next_deadline(&self->cycle));
    (void)sd_event_source_set_enabled(self->timer, SD_EVENT_ONESHOT);
    self->handlers->settled(self->data);
}

static void app_event(struct conductor *self, enum cycle_event_type type, unsigned app)
{
    conductor_event(self, &(struct cycle_event){.type = type, .app = app});
}

static void take_log(struct conductor *self, struct member *member, json_object *message,
                     const char *level)
{
    const char *text = "";
    int priority = LOG_DEBUG;

    (void)wire_get_string(message, "message", &text);
    if (strcmp(level, "warning") == 0) {
        priority = LOG_WARNING;
        member_warn(member, text);
    } else if (strcmp(level, "info") == 0) {
        priority = LOG_INFO;
    }
    CLEANUP_FREE char *clean = wire_clean(text);

    say(self, priority, member, "%s", clean != NULL ? clean : "");
    set_journal_timer(self);
}

static void take_reply(struct conductor *self, unsigned i, json_object *message,
                       const char *phase)
{
    struct member *member = &self->members[i];
    const char *result = "";

    if (strcmp(phase, "abort") == 0) {
        app_event(self, CYCLE_EVENT_APP_ABORTED, i);
        return;
    }
    if (strcmp(phase, member->phase) != 0) {
        return;
    }
    (void)wire_get_string(message, "result", &result);
    if (!cycle_app_waits(&self->cycle, i)) {
        return;                 /* it crossed our abort */
    }
    member_time_phase(member);
    member_learn(member, message);
    if (strcmp(result, "ok") == 0) {
        app_event(self, CYCLE_EVENT_APP_OK, i);
    } else if (strcmp(result, "not-running") == 0 &&
               member->app->not_running == APP_NOT_RUNNING_SKIP) {
        app_event(self, CYCLE_EVENT_APP_SKIPPED, i);
    } else {
        member_fail(member, "'%s' failed without a reason", phase);
        if (strcmp(phase, "thaw") == 0) {
            member->lost_at = wall_usec();
        }
        app_event(self, CYCLE_EVENT_APP_FAILED, i);
    }
}

static void on_message(void *data, struct worker *worker, json_object *message)
{
    struct conductor *self = data;
    unsigned i = worker_index(worker);
    struct member *member = &self->members[i];
    const char *text = NULL;

    if (wire_get_string(message, "log", &text) == 0) {
        take_log(self, member, message, text);
    } else if (wire_get_string(message, "lost", &text) == 0) {
        member_fail(member, "the hold was lost: %s", text);
        member->lost_at = wall_usec();
        say(self, LOG_ERR, member, "%s", member->error);
        app_event(self, CYCLE_EVENT_APP_LOST, i);
    } else if (wire_get_string(message, "reply", &text) == 0) {
        take_reply(self, i, message, text);
    }
}

static void on_gone(void *data, struct worker *worker, const char *how)
{
    struct conductor *self = data;
    unsigned i = worker_index(worker);
    struct member *member = &self->members[i];

    member->worker = NULL;
    if (self->cycle.apps[i].outcome == CYCLE_OUTCOME_HELD) {
        member_fail(member, "the hold was lost: its worker %s", how);
        member->lost_at = wall_usec();
        say(self, LOG_ERR, member, "%s", member->error);
    } else {
        member_fail(member, "its worker %s during '%s'", how, member->phase);
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

static int on_journal_time(sd_event_source *source, uint64_t usec, void *data)
{
    struct conductor *self = data;

    (void)source;
    (void)usec;
    (void)journal_flush(self->journal);
    set_journal_timer(self);
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
    (void)snprintf(self->id, sizeof(self->id), "%s", r > 0 && cycle != NULL ? cycle : "");
    self->ended_why = reason;
    say(self, LOG_WARNING, NULL,
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
    self->event = sd_event_ref(event);
    self->options = options;
    self->journal = journal;
    self->handlers = handlers;
    self->data = data;
    r = workers_new(event, &options->paths, &worker_handlers, self, &self->workers);
    if (r >= 0) {
        r = sync_new(event, on_synced, self, &self->sync);
    }
    if (r >= 0) {
        r = sd_event_add_time(event, &self->timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_time, self);
    }
    if (r >= 0) {
        r = sd_event_add_time(event, &self->journal_timer, CLOCK_MONOTONIC, UINT64_MAX, 1,
                              on_journal_time, self);
    }
    if (r < 0) {
        (void)conductor_free(self);
        return r;
    }
    look_for_marker(self);
    *ret_conductor = self;
    return 0;
}

static void forget(struct conductor *self)
{
    for (size_t i = 0; i < self->n_members; i++) {
        member_done(&self->members[i]);
    }
    self->n_members = 0;
    apps_free(&self->apps);
    self->apps = (struct apps){.n = 0};
    json_object_put(self->warnings);
    self->warnings = NULL;
    free(self->ended_why);
    self->ended_why = NULL;
}

struct conductor *conductor_free(struct conductor *self)
{
    if (self != NULL) {
        (void)workers_free(self->workers);
        (void)sync_free(self->sync);
        sd_event_source_disable_unref(self->timer);
        sd_event_source_disable_unref(self->journal_timer);
        forget(self);
        free(self->last_failure);
        sd_event_unref(self->event);
        free(self);
    }
    return NULL;
}

static void new_id(struct conductor *self)
{
    unsigned char bytes[ID_BYTES] = {0};

    (void)getrandom(bytes, sizeof(bytes), 0);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        (void)snprintf(self->id + 2 * i, 3, "%02x", bytes[i]);
    }
}

/* Every required app whose file is wrong, on one line, or NULL. */
static char *broken_apps(const struct apps *apps)
{
    char *text = NULL;

    for (size_t i = 0; i < apps->n; i++) {
        char *longer = NULL;

        if (apps->list[i].error == NULL) {
            continue;
        }
        if (asprintf(&longer, "%s%sapp '%s': %s", text != NULL ? text : "",
                     text != NULL ? "; " : "", apps->list[i].name, apps->list[i].error) < 0) {
            break;
        }
        free(text);
        text = longer;
    }
    return text;
}

static int begin(struct conductor *self, const struct settings *settings,
                 struct cycle_plan *plan)
{
    *plan = (struct cycle_plan){
        .n_apps = (unsigned)self->apps.n,
        .settings =
            {
                .hold_timeout = settings->hold_timeout,
                .hold_attempt = settings->hold_attempt,
                .retry_after = settings->retry_after,
                .sync = settings->sync,
            },
    };
    self->warnings = json_object_new_array();
    for (size_t i = 0; i < self->apps.n; i++) {
        int r = member_init(&self->members[i], &self->apps.list[i]);

        if (r < 0) {
            return r;
        }
        self->n_members++;
        if (self->apps.list[i].policy == APP_REQUIRED) {
            plan->required |= UINT64_C(1) << i;
        }
    }
    return 0;
}

int conductor_prepare(struct conductor *self, uint64_t forward_deadline, uint64_t undo_deadline,
                      char **ret_error)
{
    const char *config_dir = self->options->paths.config_dir;
    uint64_t stamp = stamp_of_config(config_dir);
    struct settings settings;
    struct cycle_plan plan;
    int r;

    assert(self->cycle.state == CYCLE_IDLE);
    forget(self);
    new_id(self);
    r = settings_load(config_dir, &settings, ret_error);
    if (r == 0) {
        r = apps_load(config_dir, &self->apps, ret_error);
    }
    if (r < 0) {
        return r;
    }
    if (self->apps.warnings != NULL) {
        say(self, LOG_WARNING, NULL, "%s", self->apps.warnings);
    }
    *ret_error = broken_apps(&self->apps);
    if (*ret_error != NULL) {
        return -EINVAL;
    }
    r = begin(self, &settings, &plan);
    if (r < 0) {
        return r;
    }
    plan.config_changed = stamp != self->stamp;
    self->stamp = stamp;
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
    return self->id;
}

uint64_t conductor_held_since(const struct conductor *self)
{
    return self->held_since;
}

json_object *conductor_apps(const struct conductor *self)
{
    json_object *array = json_object_new_array();

    for (size_t i = 0; i < self->n_members; i++) {
        (void)json_object_array_add(
            array, member_describe(&self->members[i], self->cycle.apps[i].outcome));
    }
    return array;
}

json_object *conductor_warnings(const struct conductor *self)
{
    return self->warnings != NULL ? json_object_get(self->warnings) : json_object_new_array();
}

char *conductor_reason(const struct conductor *self)
{
    char *text = NULL;

    for (size_t i = 0; i < self->n_members; i++) {
        enum cycle_outcome outcome = self->cycle.apps[i].outcome;
        char *longer = NULL;

        if (!cycle_required(&self->cycle, (unsigned)i) || self->members[i].error == NULL ||
            (outcome != CYCLE_OUTCOME_FAILED && outcome != CYCLE_OUTCOME_LOST)) {
            continue;
        }
        if (asprintf(&longer, "%s%sapp '%s': %s", text != NULL ? text : "",
                     text != NULL ? "; " : "", self->members[i].app->name,
                     self->members[i].error) < 0) {
            break;
        }
        free(text);
        text = longer;
    }
    if (text == NULL && cause_text(self) != NULL) {
        text = strdup(cause_text(self));
    }
    return text;
}

const char *conductor_last_failure(const struct conductor *self)
{
    return self->last_failure;
}
