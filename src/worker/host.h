/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host.h: the services that the worker offers its plugin, and what they collected
 *
 * The worker reports its own failures by host_error() too, so that there is one
 * place where the reason of a failed phase stands.
 */
#ifndef QUIESCED_WORKER_HOST_H
#define QUIESCED_WORKER_HOST_H

#include <json-c/json.h>
#include <stddef.h>

#include "quiesced-plugin.h"

#define HOST_COORDINATES_MAX 32
#define HOST_COORDINATES_SIZE 16384U /* of all values: a reply is one packet */
#define HOST_KEY_MAX 32
#define HOST_VALUE_MAX 1024U

struct host {
    struct quiesced_host api; /* first: a plugin sees the host as this */
    int fd;                   /* the daemon's socket, the caller's */
    char *error;              /* why the running phase fails, or NULL */
    char *server;
    char *method;
    json_object *coordinates; /* an object of strings */
    size_t coordinates_size;  /* bytes of its values */
};

/* @app stays the caller's, and alive. 0 or -ENOMEM. host_clear() works on zeroes. */
int host_init(struct host *host, const char *app, int fd);
void host_clear(struct host *host);

/* Why the running phase fails. The first reason stays: it is nearest to the cause. */
void host_error(const struct quiesced_host *api, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Puts "PREFIX: " before the error that stands, if any. */
void host_error_prefix(struct host *host, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Between two phases. */
void host_error_forget(struct host *host);

#endif
