/* SPDX-License-Identifier: GPL-2.0-or-later */
/* connection.h: one peer of the server, its frames and its pending call */
#ifndef QUIESCED_CONNECTION_H
#define QUIESCED_CONNECTION_H

#include <json-c/json.h>
#include <systemd/sd-event.h>

struct connection;

struct connection_handlers {
    /* An object with a method that is a string. */
    void (*call)(void *data, struct connection *connection, json_object *call);
    /* The peer has closed, or is of no use any more. */
    void (*gone)(void *data, struct connection *connection);
    /* The connection is about to be freed. */
    void (*closed)(void *data, struct connection *connection);
};

/* Takes over @fd on success. */
int connection_new(sd_event *event, int fd, const struct connection_handlers *handlers,
                   void *data, struct connection **ret_connection);
/* The next one in the server's list. */
struct connection **connection_link(struct connection *connection);

#endif
