/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "daemon.h"
#include "marker.h"
#include "pending.h"
#include "reply.h"
#include "scripts.h"
#include "sequence.h"
#include "thaw.h"
#include "util.h"
#include "wire.h"

#define ANSWER_USEC (50 * USEC_PER_MSEC) /* from the last file to our exit */

/* Without an answer that names the apps, the marker does. */
static void say_lost(struct call *call, const struct marker *marker, const char *why)
{
    CLEANUP_FREE char *text = NULL;

    if (asprintf(&text, "the snapshot is not consistent: the hold%s%s was lost: %s",
                 marker->apps != NULL ? " of " : "", marker->apps != NULL ? marker->apps : "",
                 why) < 0) {
        text = NULL;
    }
    reply_say_lost(call, text != NULL ? text : "the hold was lost");
}

static enum record_verdict take_verdict(struct call *call, const struct marker *marker,
                                        json_object *answer)
{
    const char *reason = "quiesced gives no reason";
    const char *cycle;
    bool consistent;

    if (wire_get_string(answer, "cycle", &cycle) == 0) {
        call_set_cycle(call, cycle);
    }
    reply_record_apps(call, answer);
    reply_warn(call, answer);
    if (reply_say_apps(call, answer) > 0) {
        return RECORD_INCONSISTENT;
    }
    if (wire_get_bool(answer, "consistent", &consistent) == 0 && consistent) {
        call_note(call, "all required apps were consistent in cycle %s",
                  call->cycle != NULL ? call->cycle : "without a name");
        return RECORD_CONSISTENT;
    }
    (void)wire_get_string(answer, "reason", &reason);
    say_lost(call, marker, reason);
    return RECORD_INCONSISTENT;
}

/* 0 when the daemon cares for the marker, or may hold still and is asked again. */
static int ask_connected(struct call *call, struct wire_client *client, const struct marker *marker,
                         uint64_t deadline, enum record_verdict *ret_verdict)
{
    json_object *parameters = json_object_new_object();
    json_object *answer = NULL;
    CLEANUP_FREE char *error = NULL;
    CLEANUP_FREE char *why = NULL;
    const char *reason;
    int r = -ENOMEM;

    if (parameters != NULL &&
        json_object_object_add(parameters, "deadline_monotonic",
                               daemon_time(sub_usec(deadline, DEADLINE_MARGIN))) == 0) {
        r = wire_call(client, "io.quiesced.Thaw", json_object_get(parameters), deadline, &error,
                      &answer);
    }
    json_object_put(parameters);
    if (r == 0) {
        *ret_verdict = take_verdict(call, marker, answer);
    } else if (r == -EREMOTEIO) {
        say_lost(call, marker, wire_get_string(answer, "reason", &reason) == 0 ? reason : error);
    } else {
        why = daemon_why(call, "Thaw", r);
        say_lost(call, marker, why != NULL ? why : strerror(-r));
    }
    json_object_put(answer);
    if (r == -EREMOTEIO) {
        /* WrongState: it knows of no cycle; after any other refusal it may hold one */
        return strcmp(error, "io.quiesced.WrongState") == 0 ? -ESTALE : 0;
    }
    return r;
}

/* We lack something ourselves, and know nothing of the daemon. */
static bool own_trouble(int r)
{
    return r == -ENOMEM || r == -ENOBUFS || r == -EMFILE || r == -ENFILE;
}

/* The marker alone says whether anything is held. Nothing is written before the answer. */
static enum record_verdict ask(struct call *call)
{
    uint64_t deadline = call->started + call->settings.thaw_timeout;
    enum record_verdict verdict = RECORD_INCONSISTENT;
    struct wire_client client = { .fd = -1, .wake_fd = -1 };
    CLEANUP_FREE char *why = NULL;
    struct marker marker;
    int r;

    if (!marker_exists(call->runtime_dir)) {
        return RECORD_NO_VERDICT;
    }
    if (marker_read(call->runtime_dir, &marker) < 0) {
        marker = (struct marker){ 0 };
    }
    if (marker.cycle != NULL) {
        call_set_cycle(call, marker.cycle);
    }
    r = daemon_connect(call, deadline, &client, &why);
    if (r < 0) {
        say_lost(call, &marker, why != NULL ? why : strerror(-r));
    } else {
        r = ask_connected(call, &client, &marker, deadline, &verdict);
        wire_client_close(&client);
    }
    if (r < 0 && !own_trouble(r)) {
        marker_remove(&marker); /* this was the verdict; the next one is another cycle's */
    }
    marker_free(&marker);
    return verdict;
}

/* Takes the lock and the list; without either, the scripts run all the same. */
static void open_pending(struct call *call, uint64_t deadline, struct pending *pending)
{
    CLEANUP_FREE char *error = NULL;
    int r = pending_open(call->runtime_dir, -1, deadline, pending, &error);

    if (r < 0) {
        call_complain(call, "%s", error != NULL ? error : strerror(-r));
    }
}

static void thaw_scripts(struct call *call, uint64_t deadline)
{
    struct pending pending = PENDING_NONE;
    struct scripts scripts = { 0 };
    uint64_t now = now_usec();
    int r = scripts_find(call->hooks_path, call->settings.legacy_scripts, &scripts);

    if (r < 0) {
        call_fail(call, "cannot list the scripts in '%s': %s", call->hooks_path, strerror(-r));
        return;
    }
    if (scripts.n > 0 || pending_exists(call->runtime_dir)) {
        open_pending(call, now + sub_usec(deadline, now) / 2, &pending);
        r = sequence_add_pending(call, &pending, &scripts);
        if (r < 0) {
            call_fail(call, "cannot list the frozen scripts: %s", strerror(-r));
        }
        sequence_thaw(call, &scripts, scripts.n, &pending, deadline);
        sequence_forget(call, &pending);
    }
    pending_close(&pending);
    scripts_free(&scripts);
}

void thaw(struct call *call)
{
    const struct settings *settings = &call->settings;
    uint64_t asked = call->started + settings->thaw_timeout;
    uint64_t margin = min_usec(settings->script_thaw_timeout / 4, DEADLINE_MARGIN + ANSWER_USEC);
    enum record_verdict verdict;
    uint64_t end;
    uint64_t written;

    verdict = ask(call);
    /* stopped for long, and late whatever we do: scripts and record have their time */
    end = max_usec(asked, now_usec()) + settings->script_thaw_timeout;
    if (call->settings_error != NULL) {
        call_complain(call, "%s; the defaults count", call->settings_error);
    }
    thaw_scripts(call, min_usec(now_usec() + settings->script_thaw_timeout, end - margin));
    record_set_state(&call->record, RECORD_THAWED, verdict);
    written = max_usec(end - min_usec(ANSWER_USEC, margin), now_usec() + margin / 2);
    call_write(call, RECORD_JOIN, written);
}
