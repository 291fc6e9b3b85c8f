/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * server.h: the Varlink socket, its connections and their calls
 *
 * Answers org.varlink.service itself, and refuses what is no valid call; the methods
 * of io.quiesced go to the handlers. A connection has one call at a time.
 */
#ifndef QUIESCED_SERVER_H
#define QUIESCED_SERVER_H

#include <json-c/json.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#define SERVER_SOCKET_NAME "quiesced.sock"

struct server;
struct connection;

/* Called from the event loop. */
struct server_handlers {
    /* To be answered by connection_reply() or connection_error(), at once or later.
     * @method is without its interface; @parameters is never NULL, and the server's. */
    void (*call)(void *data, struct connection *connection, const char *method,
                 json_object *parameters);
    /* The peer calls nothing more. The connection lives until connection_close(). */
    void (*gone)(void *data, struct connection *connection);
};

enum server_peers {
    SERVER_PEERS_ROOT,          /* the socket was handed to us */
    SERVER_PEERS_ROOT_AND_SELF, /* we made it ourselves */
};

/* Takes over the listening @fd. */
int server_new(sd_event *event, int fd, enum server_peers peers,
               const struct server_handlers *handlers, void *data,
               struct server **ret_server);
/* Closes every connection, without a call of gone(). Returns NULL. */
struct server *server_free(struct server *server);

/* Makes a listening socket at @path, in place of one that nobody listens on. 0 or
 * -errno; -EADDRINUSE when somebody does. */
int server_listen(const char *path, int *ret_fd);

/* Answers the call that is pending; @parameters (may be NULL) is taken over. 0, or
 * -errno when it cannot reach the peer any more. */
int connection_reply(struct connection *connection, json_object *parameters);
int connection_error(struct connection *connection, const char *name, json_object *parameters);
/* An error of io.quiesced whose only parameter is a reason. */
int connection_error_reason(struct connection *connection, const char *name, const char *reason);
void connection_close(struct connection *connection);

#endif
