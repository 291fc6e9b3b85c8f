/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker.h: the worker processes, from start to reaping
 *
 * A worker is gone when its process has ended, since only then have its sockets
 * to a server been closed: the end of our socket to it says less.
 */
#ifndef QUIESCED_WORKER_H
#define QUIESCED_WORKER_H

#include <json-c/json.h>
#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

struct worker;
struct workers;

/* Called from the event loop, for workers that were neither given up nor dismissed. */
struct worker_handlers {
    void (*message)(void *data, struct worker *worker, json_object *message);
    /* The process has ended, and the worker is freed when this returns. @how, as
     * "was killed by signal 9". */
    void (*gone)(void *data, struct worker *worker, const char *how);
};

struct worker_paths {
    const char *worker;         /* the program */
    const char *config_dir;
    const char *plugin_dir;
};

/* @paths and @handlers stay the caller's, and alive. */
int workers_new(sd_event *event, const struct worker_paths *paths,
                const struct worker_handlers *handlers, void *data,
                struct workers **ret_workers);
/* Kills what is left. Returns NULL. */
struct workers *workers_free(struct workers *workers);

/* Starts the worker of @app; @index is for worker_index(). 0 or -errno. */
int worker_start(struct workers *workers, const char *app, unsigned index,
                 struct worker **ret_worker);
unsigned worker_index(const struct worker *worker);

/* Sends a request, which stays the caller's. 0 or -errno. */
int worker_request(struct worker *worker, json_object *request);

/* SIGKILL to its process group; gone() follows when it dies. */
void worker_kill(struct worker *worker);
/* It has let go: no handler is called any more, and it is killed unless it exits
 * within a second. */
void worker_dismiss(struct worker *worker);
/* It was killed and does not die: no handler is called any more. Its process's id. */
pid_t worker_give_up(struct worker *worker);
/* The process of @app that was given up and still lives, or 0. */
pid_t workers_stuck(const struct workers *workers, const char *app);

#endif
