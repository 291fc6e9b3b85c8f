/* SPDX-License-Identifier: GPL-2.0-or-later */
/* log.h: the daemon's voice: the journal, with the cycle and the app as fields */
#ifndef QUIESCED_DAEMON_LOG_H
#define QUIESCED_DAEMON_LOG_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "journal.h"
#include "member.h"

struct log;

/* @journal stays the caller's, and alive. 0 or -errno. */
int log_new(sd_event *event, struct journal *journal, struct log **ret_log);
struct log *log_free(struct log *log);

/* The id of the cycle that is spoken of, "" for none; stays the caller's, who may write
 * another one into it. */
void log_set_cycle(struct log *log, const char *id);
/* While a file system may be frozen nothing is written that could wait for one. */
void log_set_frozen(struct log *log, bool frozen);

/* The next cycle begins now: times of entries count from here. */
void log_begin(struct log *log);

/* Each has its MESSAGE_ID, its priority, and what of QUIESCED_PHASE and QUIESCED_RESULT
 * does not come from the app. */
enum log_event {
    LOG_HELD,
    LOG_CONSISTENT,
    LOG_NOT_CONSISTENT,
    LOG_FREEZE_FAILED,
    LOG_REHEARSED,
    LOG_HOLDS_ENDED,
    LOG_SUPERSEDED,
    LOG_RESTARTED,
    LOG_CONCERN, /* a warning of the cycle as a whole */
    LOG_APP_HELD,
    LOG_APP_LOST,
    LOG_WORKER_KILLED,
    LOG_WORKER_STUCK,
};

/* @member is NULL for the events that are of no app alone. */
void log_say(struct log *log, enum log_event event, const struct member *member,
             const char *format, ...) __attribute__((format(printf, 4, 5)));
/* A rehearsal is over, which is no failed freeze. @reason is why it failed, or NULL. */
void log_rehearsal(struct log *log, const char *reason);
/* What a worker said, with a @priority of <syslog.h>. */
void log_relay(struct log *log, int priority, const struct member *member, const char *text);

#endif
