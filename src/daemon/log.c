/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "log.h"

#include <stdarg.h>

#include "util.h"
#include "wire.h"

/* How soon what the journal did not take is tried again. */
#define RETRY (100 * USEC_PER_MSEC)

struct log {
    struct journal *journal;
    sd_event_source *timer;
    const char *cycle;
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

void log_say(struct log *log, int priority, const struct member *member, const char *format, ...)
{
    char text[2 * WIRE_TEXT_MAX];
    va_list arguments;
    const struct journal_field fields[] = {
        {"QUIESCED_CYCLE", log->cycle[0] != '\0' ? log->cycle : NULL},
        {"QUIESCED_APP", member != NULL ? member->app->name : NULL},
        {"QUIESCED_PHASE", member != NULL ? member->phase : NULL},
        {NULL, NULL},
    };

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (member != NULL) {
        journal_log(log->journal, priority, fields, "app '%s': %s", member->app->name, text);
    } else {
        journal_log(log->journal, priority, fields, "%s", text);
    }
    set_timer(log);
}
