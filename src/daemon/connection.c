/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "connection.h"

#include <stdbool.h>
#include <sys/socket.h>

#include "server.h"
#include "util.h"
#include "wire.h"

/* A peer that sends more than this beside its pending call is cut off. */
#define REFUSED_MAX 16U
/* What may wait for a peer that does not read. */
#define OUTPUT_MAX (4U * WIRE_FRAME_MAX)

struct connection {
    struct connection *next;
    const struct connection_handlers *handlers;
    void *data;
    sd_event_source *io;
    int fd;
    struct wire_buffer input;
    char *output;
    size_t n_output;
    bool pending;               /* a call waits for its answer */
    bool oneway;                /* and the peer wants none */
    bool gone;                  /* nothing is read any more */
    unsigned refused;           /* frames that came while a call was pending */
};

struct connection **connection_link(struct connection *connection)
{
    return &connection->next;
}

static void watch_events(struct connection *connection)
{
    uint32_t events = connection->n_output > 0 ? EPOLLOUT : 0;

    if (!connection->gone) {
        events |= EPOLLIN;
    }
    (void)sd_event_source_set_io_events(connection->io, events);
}

/* Sends what the peer takes. -errno when it takes nothing any more. */
static int send_output(struct connection *connection)
{
    while (connection->n_output > 0) {
        ssize_t n = send(connection->fd, connection->output, connection->n_output,
                         MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return 0;
        }
        if (n < 0) {
            int r = -errno;

            connection->n_output = 0;
            return r;
        }
        connection->n_output -= (size_t)n;
        memmove(connection->output, connection->output + n, connection->n_output);
    }
    return 0;
}

static int queue_object(struct connection *connection, json_object *object)
{
    size_t size;
    const char *text = json_object_to_json_string_length(object, JSON_C_TO_STRING_PLAIN, &size);
    char *output;

    if (object == NULL || text == NULL) {
        return -ENOMEM;
    }
    if (connection->n_output + size + 1 > OUTPUT_MAX) {
        return -ENOBUFS;
    }
    output = realloc(connection->output, connection->n_output + size + 1);
    if (output == NULL) {
        return -ENOMEM;
    }
    connection->output = output;
    memcpy(output + connection->n_output, text, size + 1);
    connection->n_output += size + 1;
    return 0;
}

static int send_object(struct connection *connection, json_object *object)
{
    int r = queue_object(connection, object);

    if (r < 0) {
        /* better an end of file than a peer that waits for what will never come */
        (void)shutdown(connection->fd, SHUT_RDWR);
        return r;
    }
    r = send_output(connection);
    watch_events(connection);
    return r;
}

static int send_error(struct connection *connection, const char *name, json_object *parameters)
{
    json_object *object = json_object_new_object();
    int r;

    (void)json_object_object_add(object, "error", json_object_new_string(name));
    (void)json_object_object_add(object, "parameters", parameters);
    r = send_object(connection, object);
    json_object_put(object);
    return r;
}

static int send_error_reason(struct connection *connection, const char *name, const char *reason)
{
    json_object *parameters = json_object_new_object();

    (void)json_object_object_add(parameters, "reason", json_object_new_string(reason));
    return send_error(connection, name, parameters);
}

/* The call is answered: tells of the frames that came meanwhile, in their order. */
static void answered(struct connection *connection)
{
    connection->pending = false;
    connection->oneway = false;
    for (; connection->refused > 0; connection->refused--) {
        (void)send_error_reason(connection, "io.quiesced.Busy",
                                "a call of this connection was not answered yet");
    }
}

int connection_reply(struct connection *connection, json_object *parameters)
{
    json_object *object = json_object_new_object();
    int r = 0;

    (void)json_object_object_add(object, "parameters",
                                 parameters != NULL ? parameters : json_object_new_object());
    if (!connection->oneway) {
        r = send_object(connection, object);
    }
    json_object_put(object);
    answered(connection);
    return r;
}

int connection_error(struct connection *connection, const char *name, json_object *parameters)
{
    int r = 0;

    if (connection->oneway) {
        json_object_put(parameters);
    } else {
        r = send_error(connection, name, parameters);
    }
    answered(connection);
    return r;
}

void connection_close(struct connection *connection)
{
    connection->handlers->closed(connection->data, connection);
    sd_event_source_disable_unref(connection->io);
    util_close(connection->fd);
    wire_buffer_free(&connection->input);
    free(connection->output);
    free(connection);
}

/* The handler may close the connection: it is not touched after this. */
static void peer_gone(struct connection *connection)
{
    connection->gone = true;
    watch_events(connection);
    connection->handlers->gone(connection->data, connection);
}

/* Nothing that the peer sends after this could be understood. */
static void refuse_peer(struct connection *connection, const char *reason)
{
    (void)send_error_reason(connection, "io.quiesced.BadMessage", reason);
    peer_gone(connection);
}

static void take_frame(struct connection *connection, const char *frame, size_t size)
{
    json_object *call = NULL;
    const char *method = NULL;

    if (connection->pending) {
        connection->refused++;
        return;
    }
    if (wire_parse(frame, size, &call) < 0) {
        (void)send_error_reason(connection, "io.quiesced.BadMessage",
                                "the frame is no JSON object, or too deep");
        return;
    }
    if (wire_get_string(call, "method", &method) < 0) {
        (void)send_error_reason(connection, "io.quiesced.BadMessage",
                                "the frame has no method");
    } else {
        connection->pending = true;
        (void)wire_get_bool(call, "oneway", &connection->oneway);
        connection->handlers->call(connection->data, connection, call);
    }
    json_object_put(call);
}

static void take_frames(struct connection *connection)
{
    char *frame = NULL;
    size_t size = 0;
    int r;

    while ((r = wire_buffer_next(&connection->input, &frame, &size)) > 0) {
        take_frame(connection, frame, size);
        free(frame);
        if (connection->refused > REFUSED_MAX) {
            refuse_peer(connection, "too many calls came at the same time");
            return;
        }
    }
    if (r < 0) {
        refuse_peer(connection, "there is no memory for the frame");
    }
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *data)
{
    struct connection *connection = data;
    ssize_t n;

    (void)source;
    if (events & EPOLLOUT) {
        (void)send_output(connection);
        watch_events(connection);
    }
    if (connection->gone) {
        /* who has called still waits for the answer, unless there is nobody */
        if (events & (EPOLLERR | EPOLLHUP)) {
            (void)sd_event_source_set_enabled(connection->io, SD_EVENT_OFF);
        }
        return 0;
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) {
        return 0;
    }
    n = wire_buffer_fill(&connection->input, fd);
    if (n > 0) {
        take_frames(connection);
    } else if (n == -EMSGSIZE) {
        refuse_peer(connection, "the frame is too long");
    } else if (n == 0 && connection->input.n > 0) {
        refuse_peer(connection, "the frame ends before its NUL byte");
    } else if (n != -EAGAIN && n != -EINTR) {
        peer_gone(connection);
    }
    return 0;
}

int connection_new(sd_event *event, int fd, const struct connection_handlers *handlers,
                   void *data, struct connection **ret_connection)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    int r;

    if (connection == NULL) {
        return -ENOMEM;
    }
    connection->handlers = handlers;
    connection->data = data;
    connection->fd = fd;
    r = sd_event_add_io(event, &connection->io, fd, EPOLLIN, on_io, connection);
    if (r < 0) {
        free(connection);
        return r;
    }
    /* what has happened comes before what is asked: a Commit must not overtake a loss */
    (void)sd_event_source_set_priority(connection->io, SD_EVENT_PRIORITY_NORMAL + 1);
    *ret_connection = connection;
    return 0;
}
