/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * call.h: one call of the hook: where things are, and what it has to say
 *
 * Nothing here waits: what is said goes into memory and, as datagrams that nobody
 * waits for, to the journal. call_write() puts it on the disk and call_print() in
 * front of the agent, when that is allowed.
 */
#ifndef QUIESCED_HOOK_CALL_H
#define QUIESCED_HOOK_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "journal.h"
#include "logfile.h"
#include "record.h"
#include "settings.h"

#define CALL_PRINT_MAX 4096U                    /* what a pipe takes at once */
#define CALL_RECORD_USEC (1000 * USEC_PER_MSEC) /* for the record and the log */

struct call {
    const char *verb; /* "freeze" or "thaw" */
    const char *config_dir;
    const char *runtime_dir;
    const char *state_dir;
    const char *hooks_path; /* as in scripts.h */
    const char *log_file;
    uint64_t started;
    struct settings settings;
    char *settings_error; /* why they are the defaults, or NULL */
    int wake_fd;          /* readable when the hook was told to end */
    struct journal *journal;
    struct logfile log;
    struct record record;
    bool recorded; /* this call has written the record already */
    char *cycle;   /* or NULL */
    const char *app; /* that is spoken of, or NULL; for the journal */
    char print[CALL_PRINT_MAX];
    size_t n_print;
    bool failed; /* the exit status is not 0 */
};

/* The verb is one of two. 0 or -ENOMEM. */
int call_init(struct call *call, const char *verb, uint64_t started);
void call_free(struct call *call);

/* One line without newline each, cleaned as wire.h says; the first two are also
 * printed. A failure makes the exit status 1, and is a reason in the record; a
 * complaint is a warning there. */
void call_fail(struct call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
void call_complain(struct call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void call_warn(struct call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
void call_note(struct call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Of the daemon, for record and journal. */
void call_set_cycle(struct call *call, const char *cycle);

/* Was the hook told to end? Then *ret_signal is the signal's name. */
bool call_interrupted(const struct call *call, const char **ret_signal);

/* The path of @name in the runtime directory; NULL without memory. To be freed. */
char *call_runtime_path(const struct call *call, const char *name);

/* Writes record and log in a child, within a second and until @deadline. What fails
 * is a warning. */
void call_write(struct call *call, enum record_how how, uint64_t deadline);

/* Tells the journal, and nobody else, how the call ended. */
void call_end(struct call *call);

/* Prints what was to be printed, if nobody has to be waited for. */
void call_print(struct call *call);

#endif
