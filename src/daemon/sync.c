/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "sync.h"

#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "util.h"

struct sync {
    sd_event *event;
    void (*done)(void *data);
    void *data;
    sd_event_source *child;     /* the one that lives */
    bool abandoned;
};

int sync_new(sd_event *event, void (*done)(void *data), void *data, struct sync **ret_sync)
{
    struct sync *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        return -ENOMEM;
    }
    self->event = sd_event_ref(event);
    self->done = done;
    self->data = data;
    *ret_sync = self;
    return 0;
}

struct sync *sync_free(struct sync *self)
{
    if (self != NULL) {
        sd_event_source_disable_unref(self->child);
        sd_event_unref(self->event);
        free(self);
    }
    return NULL;
}

static int on_exit_status(sd_event_source *source, const siginfo_t *si, void *data)
{
    struct sync *self = data;

    (void)source;
    (void)si;
    self->child = sd_event_source_disable_unref(self->child);
    if (!self->abandoned) {
        self->done(self->data);
    }
    return 0;
}

int sync_start(struct sync *self)
{
    pid_t pid;
    int r;

    if (self->child != NULL) {
        return -EBUSY;
    }
    pid = fork();
    if (pid < 0) {
        return -errno;
    }
    if (pid == 0) {
        /* a copy of a socket would hide the daemon's death from its peer */
        (void)close_range(0, ~0U, 0);
        sync();
        _exit(0);
    }
    self->abandoned = false;
    r = sd_event_add_child(self->event, &self->child, pid, WEXITED, on_exit_status, self);
    return r < 0 ? r : 0;
}

void sync_abandon(struct sync *self)
{
    self->abandoned = true;
}
