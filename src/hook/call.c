/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "call.h"
#include "child.h"
#include "message_ids.h"
#include "util.h"
#include "wire.h"

int call_init(struct call *call, const char *verb, uint64_t started)
{
    *call = (struct call){ .verb = verb, .started = started, .wake_fd = -1 };
    settings_default(&call->settings);
    if (journal_open("fsfreeze-hook", JOURNAL_OR_NOTHING, &call->journal) < 0) {
        return -ENOMEM;
    }
    return record_init(&call->record);
}

void call_free(struct call *call)
{
    call->journal = journal_close(call->journal);
    record_free(&call->record);
    logfile_clear(&call->log);
    free(call->settings_error);
    free(call->cycle);
    call->wake_fd = util_close(call->wake_fd);
}

static void call_print_later(struct call *call, const char *text)
{
    size_t left = sizeof(call->print) - call->n_print;
    int n = snprintf(call->print + call->n_print, left, "quiesced: %s\n", text);

    if (n > 0 && (size_t)n < left) {
        call->n_print += (size_t)n;
    }
}

/* To the log file and the journal. @id may be NULL: a note is no event. */
static void call_log(struct call *call, int priority, const char *id, const char *text)
{
    const struct journal_field fields[] = {
        { "MESSAGE_ID", id },
        { "QUIESCED_PHASE", call->verb },
        { "QUIESCED_CYCLE", call->cycle },
        { "QUIESCED_APP", call->app },
        { "QUIESCED_RESULT", priority == LOG_ERR ? "failed" : NULL },
        { NULL, NULL },
    };

    logfile_add(&call->log, call->verb, text);
    journal_log(call->journal, priority, fields, "%s", text);
}

enum call_kind {
    CALL_FAILURE,
    CALL_COMPLAINT,
    CALL_WARNING,
    CALL_NOTE,
};

__attribute__((format(printf, 3, 0))) static void call_say(struct call *call, enum call_kind kind,
                                                           const char *format, va_list arguments)
{
    CLEANUP_FREE char *raw = NULL;
    CLEANUP_FREE char *text = NULL;

    if (vasprintf(&raw, format, arguments) < 0) {
        raw = NULL;
    }
    text = raw != NULL ? wire_clean(raw) : NULL;
    if (text == NULL) {
        return; /* call_print() will say so */
    }
    switch (kind) {
    case CALL_FAILURE:
        call_log(call, LOG_ERR, MESSAGE_ID_HOOK_FAILED, text);
        record_add_reason(&call->record, text);
        call_print_later(call, text);
        return;
    case CALL_COMPLAINT:
        call_log(call, LOG_WARNING, MESSAGE_ID_HOOK_WARNING, text);
        record_add_warning(&call->record, text);
        call_print_later(call, text);
        return;
    case CALL_WARNING:
        call_log(call, LOG_WARNING, MESSAGE_ID_HOOK_WARNING, text);
        record_add_warning(&call->record, text);
        return;
    case CALL_NOTE:
        call_log(call, LOG_INFO, NULL, text);
        return;
    }
    abort();
}

void call_fail(struct call *call, const char *format, ...)
{
    va_list arguments;

    call->failed = true;
    va_start(arguments, format);
    call_say(call, CALL_FAILURE, format, arguments);
    va_end(arguments);
}

void call_complain(struct call *call, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    call_say(call, CALL_COMPLAINT, format, arguments);
    va_end(arguments);
}

void call_warn(struct call *call, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    call_say(call, CALL_WARNING, format, arguments);
    va_end(arguments);
}

void call_note(struct call *call, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    call_say(call, CALL_NOTE, format, arguments);
    va_end(arguments);
}

void call_set_cycle(struct call *call, const char *cycle)
{
    free(call->cycle);
    call->cycle = wire_clean(cycle);
    record_set_cycle(&call->record, call->cycle);
}

bool call_interrupted(const struct call *call, const char **ret_signal)
{
    struct pollfd p = { .fd = call->wake_fd, .events = POLLIN };
    sigset_t pending;

    if (poll(&p, 1, 0) <= 0 || sigpending(&pending) < 0) {
        return false;
    }
    *ret_signal = sigismember(&pending, SIGTERM) == 1  ? "SIGTERM"
                  : sigismember(&pending, SIGINT) == 1 ? "SIGINT"
                                                       : "SIGHUP";
    return true;
}

char *call_runtime_path(const struct call *call, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s", call->runtime_dir, name) < 0 ? NULL : path;
}

struct call_written {
    struct call *call;
    enum record_how how;
};

/* In the child. A record that failed is still told to the log. */
static char *call_write_files(void *data)
{
    const struct call_written *written = data;
    struct call *call = written->call;
    char *text = NULL;
    int r;

    (void)umask(022); /* the agent's is 077, and the record is for all */
    r = record_write(&call->record, call->state_dir, written->how);

    if (r < 0) {
        if (asprintf(&text, "cannot write the record in '%s': %s", call->state_dir, strerror(-r)) <
            0) {
            text = NULL;
        } else {
            logfile_add(&call->log, call->verb, text);
        }
    }
    r = logfile_write(&call->log, call->log_file);
    if (r < 0 && text == NULL &&
        asprintf(&text, "cannot write the log '%s': %s", call->log_file, strerror(-r)) < 0) {
        text = NULL;
    }
    return text;
}

/* Nothing has happened, and no older record says otherwise. */
static bool call_is_void(const struct call *call)
{
    return record_is_empty(&call->record) && logfile_is_empty(&call->log) &&
           !record_exists(call->state_dir);
}

void call_write(struct call *call, enum record_how how, uint64_t deadline)
{
    struct call_written written = { .call = call, .how = how };
    CLEANUP_FREE char *text = NULL;
    uint64_t end = min_usec(deadline, now_usec() + CALL_RECORD_USEC);
    int r;

    if (call_is_void(call)) {
        return;
    }
    if (how == RECORD_NEW && call->recorded) {
        written.how = RECORD_AGAIN;
    }
    r = child_run(call_write_files, &written, end, &text);
    call->recorded = true;
    logfile_clear(&call->log);
    if (r < 0) {
        call_warn(call, "cannot write the record in '%s': %s", call->state_dir, strerror(-r));
    } else if (text != NULL) {
        call_warn(call, "%s", text);
    }
}

void call_end(struct call *call)
{
    bool thaw = strcmp(call->verb, "thaw") == 0;
    uint64_t took = now_usec() - call->started;
    char usec[24];
    const struct journal_field fields[] = {
        { "MESSAGE_ID", thaw ? MESSAGE_ID_HOOK_THAWED : MESSAGE_ID_HOOK_FROZE },
        { "QUIESCED_PHASE", call->verb },
        { "QUIESCED_CYCLE", call->cycle },
        { "QUIESCED_USEC", usec },
        { "QUIESCED_RESULT", call->failed ? "failed" : "ok" },
        { NULL, NULL },
    };

    (void)snprintf(usec, sizeof(usec), "%" PRIu64, took);
    journal_log(call->journal, call->failed ? LOG_ERR : LOG_INFO, fields,
                "the %s hook answers %s after %" PRIu64 " ms", call->verb,
                call->failed ? "failure" : "success", took / USEC_PER_MSEC);
}

void call_print(struct call *call)
{
    struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

    if (call->failed && call->n_print == 0) {
        call_print_later(call, "it failed, and there was no memory to say why");
    }
    if (call->n_print > 0 && poll(&p, 1, 0) > 0 && (p.revents & POLLOUT) != 0) {
        (void)!write(STDERR_FILENO, call->print, call->n_print);
    }
}
