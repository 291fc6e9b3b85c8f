/* SPDX-License-Identifier: GPL-2.0-or-later */
/* member.h: one app in a cycle, and what its worker has told of it */
#ifndef QUIESCED_MEMBER_H
#define QUIESCED_MEMBER_H

#include <json-c/json.h>
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
/* What a reply carries beside its result. */
void member_learn(struct member *member, json_object *reply);
/* The worker's phase has ended. */
void member_time_phase(struct member *member);

/* The type App of io.quiesced. */
json_object *member_describe(const struct member *member, enum cycle_outcome outcome);

#endif
