/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "calls.h"

#include "names.h"
#include "queue.h"
#include "replies.h"
#include "util.h"
#include "wire.h"

/* Within a second of SIGTERM, whatever a worker does. */
#define TERMINATE_MAX (900 * USEC_PER_MSEC)

struct calls {
    sd_event *event;
    struct server *server;
    struct conductor *conductor;
    sd_event_source *exit_timer;
    struct connection *caller;  /* of the call that is being dealt with */
    struct connection *owner;
    bool owner_gone;            /* it is closed when the cycle is over */
    struct connection *thawer;
    struct connection *releaser;
    bool released;
    struct queue *queue;        /* of those that wait for the owner to end */
    bool terminating;           /* ends as soon as nothing is held, which is ended */
    bool retiring;              /* ends as soon as nothing is held */
};

static void answer_thawed(struct calls *self)
{
    if (self->thawer != NULL) {
        (void)connection_reply(self->thawer, reply_verdict(self->conductor));
        self->thawer = NULL;
    }
}

static void refuse_state(struct calls *self)
{
    char reason[64];

    if (self->caller == self->thawer) {
        self->thawer = NULL;
    }
    (void)snprintf(reason, sizeof(reason), "the cycle is %s",
                   name_of_state(conductor_cycle(self->conductor)->state));
    (void)connection_error_reason(self->caller, "io.quiesced.WrongState", reason);
}

static void cycle_over(struct calls *self)
{
    struct connection *owner = self->owner;

    self->owner = NULL;
    if (self->owner_gone) {
        self->owner_gone = false;
        connection_close(owner);
    }
}

static int answer_committed(struct calls *self)
{
    int r = connection_reply(self->owner, reply_committed(self->conductor));

    if (r == 0) {
        self->owner = NULL;     /* from now on the connection means nothing */
    }
    return r;
}

static int on_answer(void *data, enum cycle_action_type answer)
{
    struct calls *self = data;

    if (answer == CYCLE_ACTION_ANSWER_PREPARED) {
        (void)connection_reply(self->owner, reply_progress(self->conductor));
    } else if (answer == CYCLE_ACTION_ANSWER_FROZEN) {
        (void)connection_reply(self->owner, reply_frozen(self->conductor));
    } else if (answer == CYCLE_ACTION_ANSWER_COMMITTED) {
        return answer_committed(self);
    } else if (answer == CYCLE_ACTION_ANSWER_FAILED) {
        (void)connection_error(self->owner, "io.quiesced.Failed", reply_failed(self->conductor));
    } else if (answer == CYCLE_ACTION_ANSWER_THAWED) {
        answer_thawed(self);
    } else if (answer == CYCLE_ACTION_REFUSE_RETRY) {
        (void)connection_error(self->owner, "io.quiesced.RetryLater",
                               reply_retry_later(self->conductor));
        self->owner = NULL;
    } else if (answer == CYCLE_ACTION_REFUSE_STATE) {
        refuse_state(self);
    } else {
        cycle_over(self);
    }
    return 0;
}

/* False when there is none, and the caller was told why. */
static bool begin_cycle(struct calls *self, const struct queue_entry *prepare)
{
    CLEANUP_FREE char *error = NULL;
    int r;

    self->owner = prepare->connection;
    r = conductor_prepare(self->conductor, prepare->forward_deadline, prepare->undo_deadline,
                          prepare->rehearsal, &error);
    if (r < 0) {
        const char *reason = error != NULL ? error : strerror(-r);

        self->owner = NULL;
        (void)connection_error(prepare->connection, "io.quiesced.Failed",
                               reply_not_begun(reason));
    }
    return r >= 0;
}

/* Nothing but its own thaw or owner ends a cycle for a Prepare, except these. */
static bool may_be_ended(const struct cycle *cycle)
{
    return cycle->state == CYCLE_HELD || cycle->plan.rehearsal;
}

static void let_next_begin(struct calls *self)
{
    const struct cycle *cycle = conductor_cycle(self->conductor);
    struct queue_entry next;

    if (queue_empty(self->queue)) {
        return;
    }
    if (cycle->state == CYCLE_FAILED && cycle->plan.rehearsal) {
        /* it is over; whoever rehearses is told when it asks */
        self->owner = NULL;
        conductor_event(self->conductor,
                        &(struct cycle_event){.type = CYCLE_EVENT_OWNER_GONE});
    } else if (cycle->state == CYCLE_IDLE) {
        while (queue_take(self->queue, &next) && !begin_cycle(self, &next)) {
        }
    } else if (cycle->state != CYCLE_UNDOING && may_be_ended(cycle)) {
        conductor_event(self->conductor, &(struct cycle_event){.type = CYCLE_EVENT_SUPERSEDE});
    }
}

/* Nothing is held, and what the next thaw has to be told stands in the marker. */
static bool may_retire(const struct cycle *cycle)
{
    return cycle->state == CYCLE_IDLE ||
           (cycle->state == CYCLE_HELD && cycle->hold_deadline == 0 &&
            cycle->cause != CYCLE_CAUSE_NONE && !cycle_busy(cycle));
}

static void on_settled(void *data)
{
    struct calls *self = data;

    if (self->releaser != NULL && !cycle_busy(conductor_cycle(self->conductor))) {
        json_object *reply = json_object_new_object();
        struct connection *releaser = self->releaser;

        (void)json_object_object_add(reply, "released", json_object_new_boolean(self->released));
        self->releaser = NULL;
        (void)connection_reply(releaser, reply);
    }
    if (self->terminating) {
        if (!cycle_busy(conductor_cycle(self->conductor))) {
            (void)sd_event_exit(self->event, 0);
        }
        return;
    }
    let_next_begin(self);
    if (self->retiring && may_retire(conductor_cycle(self->conductor)) &&
        queue_empty(self->queue)) {
        (void)sd_event_exit(self->event, 0);
    }
}

static void bad_parameter(struct connection *connection, const char *name)
{
    json_object *parameters = json_object_new_object();

    (void)json_object_object_add(parameters, "parameter", json_object_new_string(name));
    (void)connection_error(connection, "org.varlink.service.InvalidParameter", parameters);
}

/* False when the call has been answered: it is not one. */
static bool parse_prepare(struct connection *connection, json_object *parameters,
                          struct queue_entry *ret_prepare)
{
    struct queue_entry prepare = {.connection = connection};
    const char *wrong = NULL;
    uint64_t protocol = 0;
    int r = wire_get_bool(parameters, "rehearsal", &prepare.rehearsal);

    if (wire_get_uint(parameters, "protocol", &protocol) < 0) {
        wrong = "protocol";
    } else if (protocol != WIRE_PROTOCOL) {
        (void)connection_error(connection, "io.quiesced.ProtocolMismatch",
                               reply_other_protocol(protocol));
        return false;
    } else if (wire_get_uint(parameters, "deadline_monotonic", &prepare.forward_deadline) < 0) {
        wrong = "deadline_monotonic";
    } else if (wire_get_uint(parameters, "undo_deadline_monotonic", &prepare.undo_deadline) < 0 ||
               prepare.undo_deadline < prepare.forward_deadline) {
        wrong = "undo_deadline_monotonic";
    } else if (r < 0 && r != -ENOENT) {
        wrong = "rehearsal";
    }
    if (wrong != NULL) {
        bad_parameter(connection, wrong);
        return false;
    }
    *ret_prepare = prepare;
    return true;
}

static void call_prepare(struct calls *self, struct connection *connection,
                         json_object *parameters)
{
    enum cycle_state state = conductor_cycle(self->conductor)->state;
    struct queue_entry prepare;
    const char *busy = NULL;

    if (!parse_prepare(connection, parameters, &prepare)) {
        return;
    }
    if (connection == self->owner) {
        conductor_event(self->conductor, &(struct cycle_event){.type = CYCLE_EVENT_PREPARE});
        return;
    }
    if (self->terminating) {
        busy = "the daemon is being stopped";
    } else if (prepare.rehearsal && state != CYCLE_IDLE) {
        busy = "nothing is rehearsed while anything is held or asked for";
    } else if (!queue_add(self->queue, &prepare)) {
        busy = "too many freezes wait already";
    }
    if (busy != NULL) {
        (void)connection_error_reason(connection, "io.quiesced.Busy", busy);
    } else {
        let_next_begin(self);
    }
}

/* A call that only the owner of the cycle may make. */
static void owner_call(struct calls *self, struct connection *connection,
                       const struct cycle_event *event)
{
    if (connection == self->owner) {
        conductor_event(self->conductor, event);
    } else {
        (void)connection_error_reason(connection, "io.quiesced.WrongState",
                                      "this connection owns no cycle");
    }
}

static void call_freeze(struct calls *self, struct connection *connection,
                        json_object *parameters)
{
    bool scripts = false;

    if (wire_get_bool(parameters, "scripts", &scripts) < 0) {
        bad_parameter(connection, "scripts");
        return;
    }
    owner_call(self, connection,
               &(struct cycle_event){.type = CYCLE_EVENT_FREEZE, .sync = scripts});
}

static void call_commit(struct calls *self, struct connection *connection,
                        json_object *parameters)
{
    (void)parameters;
    owner_call(self, connection, &(struct cycle_event){.type = CYCLE_EVENT_COMMIT});
}

static void call_thaw(struct calls *self, struct connection *connection, json_object *parameters)
{
    uint64_t deadline = 0;

    if (wire_get_uint(parameters, "deadline_monotonic", &deadline) < 0) {
        bad_parameter(connection, "deadline_monotonic");
    } else if (self->thawer != NULL) {
        (void)connection_error_reason(connection, "io.quiesced.Busy",
                                      "another thaw is under way");
    } else {
        self->thawer = connection;
        conductor_event(self->conductor,
                        &(struct cycle_event){.type = CYCLE_EVENT_THAW,
                                              .deadline = sub_usec(deadline, DEADLINE_MARGIN)});
    }
}

static void call_release(struct calls *self, struct connection *connection,
                         json_object *parameters)
{
    const char *reason = NULL;
    int r = wire_get_string(parameters, "reason", &reason);

    if (r < 0 && r != -ENOENT) {
        bad_parameter(connection, "reason");
    } else if (self->releaser != NULL) {
        (void)connection_error_reason(connection, "io.quiesced.Busy",
                                      "another release is under way");
    } else {
        CLEANUP_FREE char *clean = reason != NULL ? wire_clean(reason) : NULL;

        self->releaser = connection;
        self->released = cycle_busy(conductor_cycle(self->conductor));
        conductor_release(self->conductor, clean);
    }
}

static void call_reset(struct calls *self, struct connection *connection, json_object *parameters)
{
    (void)parameters;
    conductor_event(self->conductor, &(struct cycle_event){.type = CYCLE_EVENT_RESET});
    (void)connection_reply(connection, NULL);
}

static void call_retire(struct calls *self, struct connection *connection,
                        json_object *parameters)
{
    json_object *reply = json_object_new_object();
    bool held = conductor_cycle(self->conductor)->state != CYCLE_IDLE;

    (void)parameters;
    (void)json_object_object_add(reply, "held", json_object_new_boolean(held));
    (void)connection_reply(connection, reply);
    self->retiring = true;
    on_settled(self);
}

static void call_status(struct calls *self, struct connection *connection,
                        json_object *parameters)
{
    (void)parameters;
    (void)connection_reply(connection, reply_status(self->conductor));
}

static const struct {
    const char *name;
    void (*call)(struct calls *self, struct connection *connection, json_object *parameters);
} methods[] = {
    {"Prepare", call_prepare}, {"Freeze", call_freeze},   {"Commit", call_commit},
    {"Thaw", call_thaw},       {"Release", call_release}, {"Reset", call_reset},
    {"Retire", call_retire},   {"Status", call_status},
};

static void on_call(void *data, struct connection *connection, const char *method,
                    json_object *parameters)
{
    struct calls *self = data;
    json_object *unknown;

    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        if (strcmp(methods[i].name, method) == 0) {
            self->caller = connection;
            methods[i].call(self, connection, parameters);
            self->caller = NULL;
            return;
        }
    }
    unknown = json_object_new_object();
    (void)json_object_object_add(unknown, "method", json_object_new_string(method));
    (void)connection_error(connection, "org.varlink.service.MethodNotFound", unknown);
}

static void on_gone(void *data, struct connection *connection)
{
    struct calls *self = data;

    queue_remove(self->queue, connection);
    /* the owner may be one of these too */
    if (connection == self->releaser) {
        self->releaser = NULL;
    }
    if (connection == self->thawer) {
        self->thawer = NULL;
        conductor_event(self->conductor, &(struct cycle_event){.type = CYCLE_EVENT_THAWER_GONE});
    }
    if (connection == self->owner) {
        /* its end of file is answered by ours, when everything is undone */
        self->owner_gone = true;
        conductor_event(self->conductor, &(struct cycle_event){.type = CYCLE_EVENT_OWNER_GONE});
        return;
    }
    connection_close(connection);
}

static const struct server_handlers server_handlers = {
    .call = on_call,
    .gone = on_gone,
};

static const struct conductor_handlers conductor_handlers = {
    .answer = on_answer,
    .settled = on_settled,
};

static void on_waited_too_long(struct connection *connection)
{
    (void)connection_error_reason(connection, "io.quiesced.Busy",
                                  "another freeze is under way and did not end in time");
}

int calls_new(sd_event *event, int fd, enum server_peers peers,
              const struct conductor_options *options, struct journal *journal,
              struct calls **ret_calls)
{
    struct calls *self = calloc(1, sizeof(*self));
    int r;

    if (self == NULL) {
        return -ENOMEM;
    }
    self->event = sd_event_ref(event);
    r = queue_new(event, on_waited_too_long, &self->queue);
    if (r < 0) {
        (void)calls_free(self);
        return r;
    }
    r = conductor_new(event, options, journal, &conductor_handlers, self, &self->conductor);
    if (r >= 0) {
        r = server_new(event, fd, peers, &server_handlers, self, &self->server);
    }
    if (r < 0) {
        (void)calls_free(self);
        return r;
    }
    *ret_calls = self;
    return 0;
}

struct calls *calls_free(struct calls *self)
{
    if (self != NULL) {
        (void)server_free(self->server);
        (void)conductor_free(self->conductor);
        (void)queue_free(self->queue);
        sd_event_source_disable_unref(self->exit_timer);
        sd_event_unref(self->event);
        free(self);
    }
    return NULL;
}

static int on_terminate_timeout(sd_event_source *source, uint64_t usec, void *data)
{
    struct calls *self = data;

    (void)source;
    (void)usec;
    (void)sd_event_exit(self->event, 0);
    return 0;
}

void calls_terminate(struct calls *self)
{
    if (self->terminating) {
        return;
    }
    self->terminating = true;
    (void)sd_event_add_time_relative(self->event, &self->exit_timer, CLOCK_MONOTONIC,
                                     TERMINATE_MAX, 0, on_terminate_timeout, self);
    conductor_event(self->conductor, &(struct cycle_event){.type = CYCLE_EVENT_TERMINATE});
}
