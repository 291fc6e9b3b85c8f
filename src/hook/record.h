/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record.h: what a cycle leaves on the disk, so that it is inside the snapshot
 *
 * quiesced-record(5) describes the file. A record is built in memory; only
 * record_write() touches the disk, and is called in a child.
 */
#ifndef QUIESCED_HOOK_RECORD_H
#define QUIESCED_HOOK_RECORD_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#define RECORD_VERSION 1
#define RECORD_SIZE_MAX (1024U * 1024) /* of a record that is read: a frame */
#define RECORD_WARNINGS_MAX 64        /* what comes after is left out */

enum record_state {
    RECORD_FAILED,
    RECORD_HELD,
    RECORD_THAWED,
};

enum record_verdict {
    RECORD_NO_VERDICT,
    RECORD_CONSISTENT,
    RECORD_INCONSISTENT,
};

enum record_how {
    RECORD_NEW,   /* the one before it becomes previous.json */
    RECORD_AGAIN, /* replaces what this call of the hook wrote */
    RECORD_JOIN,  /* a thaw: goes into the record that its freeze wrote */
};

struct record {
    json_object *object;
};

/* Starts a record: now. 0 or -ENOMEM. */
int record_init(struct record *record);
void record_free(struct record *record);

void record_set_state(struct record *record, enum record_state state, enum record_verdict verdict);
void record_set_cycle(struct record *record, const char *cycle);
void record_set_held_since(struct record *record, uint64_t usec);
/* @apps: an array of clean objects (reply.h); taken over */
void record_set_apps(struct record *record, json_object *apps);
/* Another reason is put behind the one before it. */
void record_add_reason(struct record *record, const char *reason);
void record_add_warning(struct record *record, const char *warning);
/* How @path went with @verb; @error is NULL when it went well. */
void record_set_script(struct record *record, const char *path, const char *verb,
                       const char *result, uint64_t usec, const char *error);
/* Is there anything in it that an administrator has configured? */
bool record_is_empty(const struct record *record);

/* Is there a record in @state_dir, or may there be one? */
bool record_exists(const char *state_dir);

/*
 * Writes record.json in @state_dir, by a temporary file and a rename; the directory
 * is made if only it is missing and the record is not empty. May block. A record
 * that cannot be written leaves none that claims an older success. A joining one
 * that has nothing to say and finds no held record writes nothing. 0 or -errno.
 */
int record_write(struct record *record, const char *state_dir, enum record_how how);

#endif
