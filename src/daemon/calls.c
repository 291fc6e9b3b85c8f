/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "calls.h"

#include "names.h"
#include "queue.h"
#include "util.h"
#include "wire.h"

/* Within a second of SIGTERM, whatever a worker does. */
#define TERMINATE_MAX (900 * USEC_PER_MSEC)

struct calls {
    sd_event *event;
    struct journal *journal;
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
    bool terminating;
};

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

/* What every answer about a cycle carries. */
static json_object *about_cycle(const struct calls *self)
{
    json_object *object = json_object_new_object();

    add_text(object, "cycle", conductor_id(self->conductor));
    (void)json_object_object_add(object, "apps", conductor_apps(self->conductor));
    (void)json_object_object_add(object, "warnings", conductor_warnings(self->conductor));
    return object;
}

static void answer_failed(struct calls *self)
{
    json_object *failure = about_cycle(self);
    const char *reason = conductor_last_failure(self->conductor);

    (void)json_object_object_add(failure, "reason",
                                 json_object_new_string(reason != NULL ? reason : ""));
    (void)connection_error(self->owner, "io.quiesced.Failed", failure);
}

static void answer_thawed(struct calls *self)
{
    json_object *verdict;

    if (self->thawer == NULL) {
        return;
    }
    CLEANUP_FREE char *reason = conductor_reason(self->conductor);
    bool consistent = cycle_consistent(conductor_cycle(self->conductor));

    verdict = about_cycle(self);
    (void)json_object_object_add(verdict, "consistent", json_object_new_boolean(consistent));
    if (!consistent) {
        add_text(verdict, "reason", reason);
    }
    (void)connection_reply(self->thawer, verdict);
    self->thawer = NULL;
}

static void refuse_retry(struct calls *self)
{
    json_object *refusal = json_object_new_object();
    const char *reason = conductor_last_failure(self->conductor);

    (void)json_object_object_add(refusal, "reason",
                                 json_object_new_string(reason != NULL ? reason : ""));
    add_usec(refusal, "retry_in_usec",
             sub_usec(conductor_cycle(self->conductor)->retry_at, now_usec()));
    (void)connection_error(self->owner, "io.quiesced.RetryLater", refusal);
    self->owner = NULL;
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
    struct connection *owner = self->owner;
    json_object *reply = json_object_new_object();
    int r;

    add_usec(reply, "hold_until_monotonic", conductor_cycle(self->conductor)->hold_deadline);
    r = connection_reply(owner, reply);
    if (r == 0) {
        self->owner = NULL;     /* from now on the connection means nothing */
    }
    return r;
}

static int on_answer(void *data, enum cycle_action_type answer)
{
    struct calls *self = data;

    if (answer == CYCLE_ACTION_ANSWER_PREPARED) {
        (void)connection_reply(self->owner, about_cycle(self));
    } else if (answer == CYCLE_ACTION_ANSWER_FROZEN) {
        json_object *reply = about_cycle(self);

        add_usec(reply, "held_since", wall_usec());
        (void)connection_reply(self->owner, reply);
    } else if (answer == CYCLE_ACTION_ANSWER_COMMITTED) {
        return answer_committed(self);
    } else if (answer == CYCLE_ACTION_ANSWER_FAILED) {
        answer_failed(self);
    } else if (answer == CYCLE_ACTION_ANSWER_THAWED) {
        answer_thawed(self);
    } else if (answer == CYCLE_ACTION_REFUSE_RETRY) {
        refuse_retry(self);
    } else if (answer == CYCLE_ACTION_REFUSE_STATE) {
        refuse_state(self);
    } else {
        cycle_over(self);
    }
    return 0;
}

static void begin_cycle(struct calls *self, const struct queue_entry *prepare)
{
    CLEANUP_FREE char *error = NULL;
    int r;

    self->owner = prepare->connection;
    r = conductor_prepare(self->conductor, prepare->forward_deadline, prepare->undo_deadline,
                          &error);
    if (r < 0) {
        json_object *failure = json_object_new_object();

        (void)json_object_object_add(
            failure, "reason", json_object_new_string(error != NULL ? error : strerror(-r)));
        (void)json_object_object_add(failure, "apps", json_object_new_array());
        journal_log(self->journal, LOG_ERR, NULL, "the freeze failed: %s",
                    error != NULL ? error : strerror(-r));
        self->owner = NULL;
        (void)connection_error(prepare->connection, "io.quiesced.Failed", failure);
    }
}

static void let_next_begin(struct calls *self)
{
    struct queue_entry next;

    if (queue_empty(self->queue)) {
        return;
    }
    if (conductor_cycle(self->conductor)->state == CYCLE_HELD) {
        conductor_event(self->conductor, &(struct cycle_event){.type = CYCLE_EVENT_SUPERSEDE});
    } else if (conductor_cycle(self->conductor)->state == CYCLE_IDLE &&
               queue_take(self->queue, &next)) {
        begin_cycle(self, &next);
    }
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
}

static void bad_parameter(struct connection *connection, const char *name)
{
    json_object *parameters = json_object_new_object();

    (void)json_object_object_add(parameters, "parameter", json_object_new_string(name));
    (void)connection_error(connection, "org.varlink.service.InvalidParameter", parameters);
}

static void call_prepare(struct calls *self, struct connection *connection,
                         json_object *parameters)
{
    struct queue_entry prepare = {.connection = connection};
    uint64_t protocol = 0;

    if (wire_get_uint(parameters, "protocol", &protocol) < 0) {
        bad_parameter(connection, "protocol");
    } else if (protocol != WIRE_PROTOCOL) {
        json_object *refusal = json_object_new_object();
        char reason[128];

        (void)snprintf(reason, sizeof(reason),
                       "the daemon speaks protocol %d, the caller %llu: restart quiesced.service",
                       WIRE_PROTOCOL, (unsigned long long)protocol);
        add_text(refusal, "reason", reason);
        add_usec(refusal, "protocol", WIRE_PROTOCOL);
        (void)connection_error(connection, "io.quiesced.ProtocolMismatch", refusal);
    } else if (wire_get_uint(parameters, "deadline_monotonic", &prepare.forward_deadline) < 0) {
        bad_parameter(connection, "deadline_monotonic");
    } else if (wire_get_uint(parameters, "undo_deadline_monotonic", &prepare.undo_deadline) < 0 ||
               prepare.undo_deadline < prepare.forward_deadline) {
        bad_parameter(connection, "undo_deadline_monotonic");
    } else if (connection == self->owner) {
        conductor_event(self->conductor, &(struct cycle_event){.type = CYCLE_EVENT_PREPARE});
    } else if (self->terminating) {
        (void)connection_error_reason(connection, "io.quiesced.Busy",
                                      "the daemon is being stopped");
    } else if (queue_add(self->queue, &prepare)) {
        let_next_begin(self);
    } else {
        (void)connection_error_reason(connection, "io.quiesced.Busy",
                                      "too many freezes wait already");
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

static void call_status(struct calls *self, struct connection *connection,
                        json_object *parameters)
{
    const struct cycle *cycle = conductor_cycle(self->conductor);
    json_object *status = about_cycle(self);
    uint64_t retry_in = sub_usec(cycle->retry_at, now_usec());

    (void)parameters;
    add_text(status, "state", name_of_state(cycle->state));
    if (conductor_held_since(self->conductor) != 0) {
        add_usec(status, "since", conductor_held_since(self->conductor));
    }
    if (cycle->hold_deadline != 0) {
        add_usec(status, "hold_until_monotonic", cycle->hold_deadline);
    }
    add_text(status, "last_failure", conductor_last_failure(self->conductor));
    if (retry_in != 0) {
        add_usec(status, "retry_in_usec", retry_in);
    }
    add_usec(status, "protocol", WIRE_PROTOCOL);
    add_text(status, "version", PACKAGE_VERSION);
    (void)connection_reply(connection, status);
}

static const struct {
    const char *name;
    void (*call)(struct calls *self, struct connection *connection, json_object *parameters);
} methods[] = {
    {"Prepare", call_prepare}, {"Freeze", call_freeze},   {"Commit", call_commit},
    {"Thaw", call_thaw},       {"Release", call_release}, {"Reset", call_reset},
    {"Status", call_status},
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
    if (connection == self->owner) {
        /* its end of file is answered by ours, when everything is undone */
        self->owner_gone = true;
        conductor_event(self->conductor, &(struct cycle_event){.type = CYCLE_EVENT_OWNER_GONE});
        return;
    }
    if (connection == self->releaser) {
        self->releaser = NULL;
    }
    if (connection == self->thawer) {
        self->thawer = NULL;
        conductor_event(self->conductor, &(struct cycle_event){.type = CYCLE_EVENT_THAWER_GONE});
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
    self->journal = journal;
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
