/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conductor.h: joins the cycle to its workers, the sync, the marker and the clock
 *
 * Events go in; what the cycle wants done to workers and files is done here, and its
 * answers to connections are handed on.
 */
#ifndef QUIESCED_CONDUCTOR_H
#define QUIESCED_CONDUCTOR_H

#include <json-c/json.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "cycle.h"
#include "journal.h"
#include "worker.h"

struct conductor;

struct conductor_options {
    const char *runtime_dir;
    struct worker_paths paths;
};

struct conductor_handlers {
    /* One of CYCLE_ACTION_ANSWER_..., _REFUSE_... or _END. The getters below tell of
     * the cycle that it is about. 0, or -errno when the peer could not be reached. */
    int (*answer)(void *data, enum cycle_action_type answer);
    /* An event and all that followed from it has been dealt with. */
    void (*settled)(void *data);
};

/* All stay the caller's, and alive. 0 or -errno. */
int conductor_new(sd_event *event, const struct conductor_options *options,
                  struct journal *journal, const struct conductor_handlers *handlers, void *data,
                  struct conductor **ret_conductor);
struct conductor *conductor_free(struct conductor *conductor);

/* Reads the configuration and begins a cycle: CYCLE_EVENT_PREPARE. -errno when it
 * cannot be read, with one line in *ret_error (to be freed). */
int conductor_prepare(struct conductor *conductor, uint64_t forward_deadline,
                      uint64_t undo_deadline, bool rehearsal, char **ret_error);
/* Any other event from a connection. */
void conductor_event(struct conductor *conductor, const struct cycle_event *event);
/* CYCLE_EVENT_RELEASE; @reason may be NULL. */
void conductor_release(struct conductor *conductor, const char *reason);

const struct cycle *conductor_cycle(const struct conductor *conductor);
/* The cycle's id, "" before the first one. */
const char *conductor_id(const struct conductor *conductor);
/* Microseconds since the epoch when the last app took its hold, or 0. */
uint64_t conductor_held_since(const struct conductor *conductor);
/* New arrays: of the type App, and of strings. */
json_object *conductor_apps(const struct conductor *conductor);
json_object *conductor_warnings(const struct conductor *conductor);
/* Why it failed or is not consistent, on one line; NULL when it is. To be freed. */
char *conductor_reason(const struct conductor *conductor);
/* The reason of the last freeze that failed, or NULL. */
const char *conductor_last_failure(const struct conductor *conductor);

#endif
