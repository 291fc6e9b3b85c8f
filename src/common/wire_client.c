/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wire_client.c: the calling side of wire.h */
#include <config.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "util.h"
#include "wire.h"

#define CONNECT_AGAIN_MS 5

/* Until @fd is ready for @events: 0, -ETIMEDOUT, -EINTR when @wake_fd is readable. */
static int wait_for(int fd, short events, int wake_fd, uint64_t deadline)
{
    struct pollfd fds[] = {
        { .fd = fd, .events = events },
        { .fd = wake_fd, .events = POLLIN }, /* poll() skips one below 0 */
    };
    int n;

    do {
        n = poll(fds, ARRAY_SIZE(fds), deadline_ms(deadline));
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return -errno;
    }
    if (fds[1].revents != 0) {
        return -EINTR;
    }
    return n == 0 ? -ETIMEDOUT : 0;
}

/* A full backlog says EAGAIN, and poll() does not tell when that is over. */
static int connect_by(int fd, const struct sockaddr_un *address, uint64_t deadline)
{
    while (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            return -errno;
        }
        if (deadline_ms(deadline) == 0) {
            return -ETIMEDOUT;
        }
        (void)poll(NULL, 0, CONNECT_AGAIN_MS);
    }
    return 0;
}

int wire_connect(const char *path, uint64_t deadline, struct wire_client *ret_client)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    CLEANUP_CLOSE int fd = -1;
    size_t n = strlen(path);
    int r;

    if (n == 0) {
        return -EINVAL;
    }
    if (n >= sizeof(address.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, n + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    r = connect_by(fd, &address, deadline);
    if (r < 0) {
        return r;
    }
    *ret_client = (struct wire_client){ .fd = fd, .wake_fd = -1 };
    fd = -1;
    return 0;
}

void wire_client_close(struct wire_client *client)
{
    client->fd = util_close(client->fd);
    wire_buffer_free(&client->buffer);
}

static int send_all(struct wire_client *client, const char *data, size_t size, uint64_t deadline)
{
    size_t sent = 0;

    while (sent < size) {
        ssize_t n = send(client->fd, data + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n >= 0) {
            sent += (size_t)n;
            continue;
        }
        if (errno == EAGAIN) {
            int r = wait_for(client->fd, POLLOUT, client->wake_fd, deadline);

            if (r < 0) {
                return r;
            }
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

static int send_call(struct wire_client *client, json_object *call, uint64_t deadline)
{
    const char *text;
    size_t size;

    text = json_object_to_json_string_length(
        call, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &size);
    if (text == NULL) {
        return -ENOMEM;
    }
    if (size + 1 > WIRE_FRAME_MAX) {
        return -EMSGSIZE;
    }
    return send_all(client, text, size + 1, deadline); /* with the NUL byte */
}

static int receive_frame(struct wire_client *client, uint64_t deadline, char **ret_frame,
                         size_t *ret_size)
{
    ssize_t n;
    int r;

    for (;;) {
        r = wire_buffer_next(&client->buffer, ret_frame, ret_size);
        if (r != 0) {
            return r < 0 ? r : 0;
        }
        n = wire_buffer_fill(&client->buffer, client->fd);
        if (n == 0) {
            return -EPIPE;
        }
        if (n == -EAGAIN) {
            r = wait_for(client->fd, POLLIN, client->wake_fd, deadline);
            if (r < 0) {
                return r;
            }
        } else if (n < 0) {
            return n == -ECONNRESET ? -EPIPE : (int)n;
        }
    }
}

/* 0, or -EREMOTEIO; the parameters are an empty object when the reply has none. */
static int parse_reply(const char *frame, size_t size, char **ret_error,
                       json_object **ret_parameters)
{
    json_object *reply = NULL;
    json_object *parameters = NULL;
    const char *error = NULL;
    char *copy = NULL;
    int r;
    int has_error;

    r = wire_parse(frame, size, &reply);
    if (r < 0) {
        return r;
    }
    has_error = wire_get_string(reply, "error", &error);
    r = wire_get_object(reply, "parameters", &parameters);
    if (has_error == -EBADMSG || r == -EBADMSG) {
        json_object_put(reply);
        return -EBADMSG;
    }
    copy = has_error == 0 ? strdup(error) : NULL;
    parameters = r == 0 ? json_object_get(parameters) : json_object_new_object();
    json_object_put(reply);
    if (parameters == NULL || (has_error == 0 && copy == NULL)) {
        json_object_put(parameters);
        free(copy);
        return -ENOMEM;
    }
    *ret_parameters = parameters;
    if (has_error != 0) {
        return 0;
    }
    *ret_error = copy;
    return -EREMOTEIO;
}

/* Takes @parameters over. NULL without memory. */
static json_object *make_call(const char *method, json_object *parameters)
{
    json_object *call = json_object_new_object();
    json_object *name = json_object_new_string(method);

    if (call == NULL || name == NULL || json_object_object_add(call, "method", name) < 0) {
        json_object_put(name);
        json_object_put(call);
        json_object_put(parameters);
        return NULL;
    }
    if (parameters != NULL && json_object_object_add(call, "parameters", parameters) < 0) {
        json_object_put(parameters);
        json_object_put(call);
        return NULL;
    }
    return call;
}

int wire_call(struct wire_client *client, const char *method, json_object *parameters,
              uint64_t deadline, char **ret_error, json_object **ret_parameters)
{
    CLEANUP_FREE char *frame = NULL;
    json_object *call;
    size_t size = 0;
    int r;

    call = make_call(method, parameters);
    if (call == NULL) {
        return -ENOMEM;
    }
    if (client->buffer.n > 0) {
        json_object_put(call);
        return -EBADMSG; /* it would be taken for the reply */
    }
    r = send_call(client, call, deadline);
    json_object_put(call);
    if (r == 0) {
        r = receive_frame(client, deadline, &frame, &size);
    }
    return r < 0 ? r : parse_reply(frame, size, ret_error, ret_parameters);
}

int wire_finish(struct wire_client *client, uint64_t deadline)
{
    char dropped[512];
    ssize_t n;
    int r;

    if (shutdown(client->fd, SHUT_WR) < 0 && errno != ENOTCONN) {
        return -errno;
    }
    for (;;) {
        n = recv(client->fd, dropped, sizeof(dropped), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno == ECONNRESET)) {
            return 0;
        }
        if (n > 0) {
            return -EBADMSG; /* nobody was asked */
        }
        if (errno == EAGAIN) {
            r = wait_for(client->fd, POLLIN, client->wake_fd, deadline);
            if (r < 0) {
                return r;
            }
        } else if (errno != EINTR) {
            return -errno;
        }
    }
}
