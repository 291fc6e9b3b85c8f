/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "log.h"

#include <inttypes.h>
#include <stdarg.h>

#include "message_ids.h"
#include "util.h"
#include "wire.h"

/* How soon what the journal did not take is tried again. */
#define RETRY (100 * USEC_PER_MSEC)

struct log {
    struct journal *journal;
    sd_event_source *timer;
    const char *cycle;
    uint64_t begun; /* the cycle; 0: none yet */
};

static void set_timer(struct log *log)
{
    if (journal_pending(log->journal)) {
        (void)sd_event_source_set_time_relative(log->timer, RETRY);
        (void)sd_event_source_set_enabled(log->timer, SD_EVENT_ONESHOT);
    }
}

static int on_time(sd_event_source *source, uint64_t usec, void *data)
{
    struct log *log = data;

    (void)source;
    (void)usec;
    (void)journal_flush(log->journal);
    set_timer(log);
    return 0;
}

int log_new(sd_event *event, struct journal *journal, struct log **ret_log)
{
    struct log *log = calloc(1, sizeof(*log));
    int r;

    if (log == NULL) {
        return -ENOMEM;
    }
    log->journal = journal;
    log->cycle = "";
    r = sd_event_add_time(event, &log->timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_time, log);
    if (r < 0) {
        free(log);
        return r;
    }
    *ret_log = log;
    return 0;
}

struct log *log_free(struct log *log)
{
    if (log != NULL) {
        sd_event_source_disable_unref(log->timer);
        free(log);
    }
    return NULL;
}

void log_set_cycle(struct log *log, const char *id)
{
    log->cycle = id;
}

void log_set_frozen(struct log *log, bool frozen)
{
    journal_hold(log->journal, frozen);
    set_timer(log);
}

void log_begin(struct log *log)
{
    log->begun = now_usec();
}

struct kind {
    const char *id;
    int priority;
    const char *phase; /* NULL: the app's */
    const char *result;
};

static const struct kind kinds[] = {
    [LOG_HELD] = {MESSAGE_ID_HELD, LOG_INFO, "freeze", "held"},
    [LOG_CONSISTENT] = {MESSAGE_ID_CONSISTENT, LOG_INFO, "thaw", "consistent"},
    [LOG_NOT_CONSISTENT] = {MESSAGE_ID_NOT_CONSISTENT, LOG_ERR, "thaw", "not-consistent"},
    [LOG_FREEZE_FAILED] = {MESSAGE_ID_FREEZE_FAILED, LOG_ERR, "freeze", "failed"},
    [LOG_REHEARSED] = {MESSAGE_ID_REHEARSED, LOG_INFO, "freeze", "rehearsed"},
    [LOG_HOLDS_ENDED] = {MESSAGE_ID_HOLDS_ENDED, LOG_ERR, "hold", "lost"},
    [LOG_SUPERSEDED] = {MESSAGE_ID_SUPERSEDED, LOG_WARNING, "hold", "lost"},
    [LOG_RESTARTED] = {MESSAGE_ID_RESTARTED, LOG_WARNING, "hold", "lost"},
    [LOG_CONCERN] = {MESSAGE_ID_WARNING, LOG_WARNING, NULL, NULL},
    [LOG_APP_HELD] = {MESSAGE_ID_APP_HELD, LOG_INFO, NULL, "held"},
    [LOG_APP_LOST] = {MESSAGE_ID_APP_LOST, LOG_ERR, "hold", "lost"},
    [LOG_WORKER_KILLED] = {MESSAGE_ID_WORKER_KILLED, LOG_WARNING, NULL, "failed"},
    [LOG_WORKER_STUCK] = {MESSAGE_ID_WORKER_STUCK, LOG_ERR, NULL, "failed"},
};

static const struct kind relayed = {.id = MESSAGE_ID_WORKER_SAYS};

/* How long the hold took to get, or how long the cycle lasts. */
static uint64_t usec_of(const struct log *log, const struct kind *kind,
                        const struct member *member)
{
    if (kind == &kinds[LOG_APP_HELD]) {
        return member->hold_usec;
    }
    return log->cycle[0] == '\0' || log->begun == 0 ? 0 : sub_usec(now_usec(), log->begun);
}

static void send(struct log *log, int priority, const struct kind *kind,
                 const struct member *member, const char *text)
{
    uint64_t usec = usec_of(log, kind, member);
    const char *phase = member != NULL ? member->phase : NULL;
    char took[24];
    const struct journal_field fields[] = {
        {"MESSAGE_ID", kind->id},
        {"QUIESCED_CYCLE", log->cycle[0] != '\0' ? log->cycle : NULL},
        {"QUIESCED_APP", member != NULL ? member->app->name : NULL},
        {"QUIESCED_PHASE", kind->phase != NULL ? kind->phase : phase},
        {"QUIESCED_USEC", usec != 0 ? took : NULL},
        {"QUIESCED_RESULT", kind->result},
        {NULL, NULL},
    };

    (void)snprintf(took, sizeof(took), "%" PRIu64, usec);
    if (member != NULL) {
        journal_log(log->journal, priority, fields, "app '%s': %s", member->app->name, text);
    } else {
        journal_log(log->journal, priority, fields, "%s", text);
    }
    set_timer(log);
}

void log_say(struct log *log, enum log_event event, const struct member *member,
             const char *format, ...)
{
    char text[2 * WIRE_TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    send(log, kinds[event].priority, &kinds[event], member, text);
}

void log_rehearsal(struct log *log, const char *reason)
{
    if (reason == NULL) {
        log_say(log, LOG_REHEARSED, NULL, "rehearsed: all was let go");
    } else {
        log_say(log, LOG_CONCERN, NULL, "the rehearsal failed: %s", reason);
    }
}

void log_relay(struct log *log, int priority, const struct member *member, const char *text)
{
    send(log, priority, &relayed, member, text);
}
