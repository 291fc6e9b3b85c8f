/* SPDX-License-Identifier: GPL-2.0-or-later */
/* member.h: one app in a cycle, and what its worker has told of it */
#ifndef QUIESCED_MEMBER_H
#define QUIESCED_MEMBER_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "apps.h"
#include "cycle.h"
#include "worker.h"

struct member {
    const struct app *app;      /* the caller's */
    struct worker *worker;      /* NULL: none, or not heard any more */
    const char *phase;          /* that was asked for last */
    uint64_t asked_at;          /* and when */
    char *error;
    char *server;
    char *method;
    json_object *coordinates;
    json_object *warnings;
    uint64_t prepare_usec;
    uint64_t hold_usec;
    uint64_t held_since;        /* microseconds since the epoch, as lost_at */
    uint64_t lost_at;
};

/* 0 or -ENOMEM */
int member_init(struct member *member, const struct app *app);
void member_done(struct member *member);

/* Keeps the first error, which is the cause of those after it. */
void member_fail(struct member *member, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void member_warn(struct member *member, const char *text);

/* Starts its worker and asks for "prepare". -errno, and member_fail() is done: there is
 * no worker, and none will be heard of. */
int member_start(struct member *member, struct workers *workers, unsigned index,
                 uint64_t deadline);
/* Asks for a phase by @deadline, at which the cycle runs out of patience: the worker is
 * given a little less. -ESRCH when there is no worker. */
int member_ask(struct member *member, const char *phase, uint64_t deadline,
               uint64_t hold_deadline);
/*
 * Takes a reply, or the word that the hold was lost. @waits: a phase was asked for and
 * is wanted still. False when the message means nothing any more.
 */
bool member_hear(struct member *member, json_object *message, bool waits,
                 enum cycle_event_type *ret_type);
/* Takes what it has to say at @level: a warning is kept. Its priority of <syslog.h>, and the
 * text, to be freed; NULL without memory. */
int member_take_log(struct member *member, json_object *message, const char *level,
                    char **ret_text);
/* It is late: SIGKILL. */
void member_kill(struct member *member);
/* It has let go, and exits by itself. */
void member_dismiss(struct member *member);
/* It does not die. The process's id. */
pid_t member_give_up(struct member *member);
/* Its process has ended, @how as of worker_handlers.gone. */
void member_bury(struct member *member, const char *how, enum cycle_outcome outcome);

/* The type App of io.quiesced. */
json_object *member_describe(const struct member *member, enum cycle_outcome outcome);

#endif
