/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "apps.h"
#include "daemon.h"
#include "freeze.h"
#include "marker.h"
#include "pending.h"
#include "reply.h"
#include "scripts.h"
#include "sequence.h"
#include "util.h"
#include "wire.h"

#define ANSWER_USEC (50 * USEC_PER_MSEC) /* from the last file to our exit */
#define COMMIT_USEC (1000 * USEC_PER_MSEC)
#define LATE_USEC (200 * USEC_PER_MSEC) /* for each part of an undoing that begins too late */

struct freeze {
    struct call *call;
    uint64_t forward;    /* forward work ends; the daemon's, a little before */
    uint64_t record;     /* so does the record's writing */
    uint64_t commit;     /* and what comes of it */
    uint64_t undo_holds; /* undoing ends, and with it the wait for why */
    uint64_t undo_scripts;
    uint64_t end; /* the hook has to answer */
    struct apps apps; /* the names alone */
    struct scripts scripts;
    struct pending pending;
    size_t n_scripts; /* of the list that were begun */
    bool scripts_ran;
    struct wire_client client;
    bool unsure; /* Commit was asked for, and not refused */
};

/* Forward for three quarters, back in the last one. */
static void plan(struct freeze *f)
{
    uint64_t timeout = f->call->settings.freeze_timeout;
    uint64_t back = timeout / 4;

    f->end = f->call->started + timeout;
    f->forward = f->end - back;
    f->record = f->forward + back / 4;
    f->commit = f->forward + back / 2;
    f->undo_scripts = f->end - min_usec(back / 4, DEADLINE_MARGIN + ANSWER_USEC);
    f->undo_holds = f->end - min_usec(back / 4, DEADLINE_MARGIN);
}

/* Scripts are thawed after the holds, and need a part of the time. */
static void plan_scripts(struct freeze *f)
{
    if (f->scripts.n > 0) {
        f->undo_holds = f->commit + (f->undo_scripts - f->commit) / 2;
    }
}

static int check_scripts(struct freeze *f)
{
    int result = 0;

    for (size_t i = 0; i < f->scripts.n; i++) {
        const struct script *script = &f->scripts.list[i];

        if (script->refused == NULL) {
            continue;
        }
        record_set_script(&f->call->record, script->path, "freeze", "refused", 0, script->refused);
        if (script->weight == SCRIPT_STRICT) {
            call_fail(f->call, "script '%s' is refused: %s", script->path, script->refused);
            result = -EPERM;
        } else {
            call_warn(f->call, "script '%s' is refused: %s", script->path, script->refused);
        }
    }
    return result;
}

/* Finds the scripts, waits for another hook's, and thaws what was left frozen. */
static int look_for_scripts(struct freeze *f)
{
    struct call *call = f->call;
    CLEANUP_FREE char *error = NULL;
    uint64_t deadline;
    int r = scripts_find(call->hooks_path, call->settings.legacy_scripts, &f->scripts);

    if (r < 0) {
        call_fail(call, "cannot list the scripts in '%s': %s", call->hooks_path, strerror(-r));
        return r;
    }
    plan_scripts(f);
    if (f->scripts.n == 0 && !pending_exists(call->runtime_dir)) {
        return 0;
    }
    r = pending_open(call->runtime_dir, call->wake_fd, f->forward, &f->pending, &error);
    if (r < 0) {
        call_fail(call, "%s", error != NULL ? error : strerror(-r));
        return r;
    }
    deadline = min_usec(f->forward, now_usec() + call->settings.script_thaw_timeout);
    r = sequence_thaw_pending(call, &f->pending, deadline);
    return r < 0 ? r : check_scripts(f);
}

/* With an app, the daemon says it. */
static void warn_of_names(struct freeze *f)
{
    char *rest = f->apps.warnings;
    const char *line;

    while ((line = strsep(&rest, "\n")) != NULL) {
        call_warn(f->call, "%s", line);
    }
}

static int look_for_apps(struct freeze *f)
{
    CLEANUP_FREE char *error = NULL;
    int r = apps_names(f->call->config_dir, &f->apps, &error);

    if (r < 0) {
        call_fail(f->call, "%s", error != NULL ? error : strerror(-r));
    } else if (f->apps.n == 0) {
        warn_of_names(f);
    }
    return r;
}

/* Says all that is wrong with the configuration, not only the first. */
static int look(struct freeze *f)
{
    int result = 0;
    int r;

    if (f->call->settings_error != NULL) {
        call_fail(f->call, "%s", f->call->settings_error);
        result = -EINVAL;
    }
    r = look_for_scripts(f);
    result = result < 0 ? result : r;
    r = look_for_apps(f);
    return result < 0 ? result : r;
}

static int prepare(struct freeze *f)
{
    CLEANUP_FREE char *why = NULL;
    json_object *parameters;
    json_object *answer;
    int r = daemon_connect(f->call, f->forward, &f->client, &why);

    if (r < 0) {
        call_fail(f->call, "%s", why != NULL ? why : strerror(-r));
        return r;
    }
    f->client.wake_fd = f->call->wake_fd;
    parameters = json_object_new_object();
    if (parameters == NULL) {
        return -ENOMEM;
    }
    (void)json_object_object_add(parameters, "protocol", json_object_new_int(WIRE_PROTOCOL));
    (void)json_object_object_add(parameters, "deadline_monotonic",
                                 daemon_time(sub_usec(f->forward, DEADLINE_MARGIN)));
    (void)json_object_object_add(parameters, "undo_deadline_monotonic",
                                 daemon_time(sub_usec(f->undo_holds, DEADLINE_MARGIN)));
    r = daemon_call(f->call, &f->client, "Prepare", parameters, f->undo_holds, &answer);
    if (r == 0) {
        r = reply_check_apps(f->call, answer, &f->apps);
        json_object_put(answer);
    }
    return r;
}

static int run_scripts(struct freeze *f)
{
    const char *name = "a signal";
    int r;

    if (f->scripts.n == 0) {
        return 0;
    }
    r = sequence_freeze(f->call, &f->scripts, &f->pending, sub_usec(f->forward, DEADLINE_MARGIN),
                        &f->n_scripts);
    for (size_t i = 0; i < f->n_scripts; i++) {
        f->scripts_ran |= f->scripts.list[i].refused == NULL;
    }
    if (r == -EINTR) {
        (void)call_interrupted(f->call, &name);
        call_fail(f->call, "the freeze was ended by %s during the scripts", name);
    }
    return r;
}

static int hold(struct freeze *f)
{
    json_object *parameters = json_object_new_object();
    json_object *answer;
    uint64_t held_since;
    int r;

    if (parameters == NULL) {
        return -ENOMEM;
    }
    (void)json_object_object_add(parameters, "scripts", json_object_new_boolean(f->scripts_ran));
    r = daemon_call(f->call, &f->client, "Freeze", parameters, f->undo_holds, &answer);
    if (r < 0) {
        return r;
    }
    reply_say_held(f->call, answer);
    if (wire_get_uint(answer, "held_since", &held_since) == 0) {
        record_set_held_since(&f->call->record, held_since);
    }
    json_object_put(answer);
    return 0;
}

static int forward(struct freeze *f)
{
    int r = look(f);

    if (r == 0 && f->apps.n > 0) {
        r = prepare(f);
    }
    if (r == 0) {
        r = run_scripts(f);
    }
    if (r == 0 && f->apps.n > 0) {
        r = hold(f);
    }
    return r;
}

/* The last act: from here on no signal ends us. */
static int commit(struct freeze *f)
{
    struct call *call = f->call;
    json_object *answer;
    const char *name;
    int r;

    if (f->apps.n == 0) {
        record_add_warning(&call->record, "no app is configured: nothing was held");
    } else {
        call_note(call, "all required apps are held in cycle %s",
                  call->cycle != NULL ? call->cycle : "without a name");
    }
    record_set_state(&call->record, RECORD_HELD, RECORD_NO_VERDICT);
    call_write(call, RECORD_NEW, f->record);
    if (call_interrupted(call, &name)) {
        call_fail(call, "the freeze was ended by %s", name);
        return -EINTR;
    }
    if (f->apps.n == 0) {
        return 0;
    }
    f->client.wake_fd = -1;
    r = daemon_call(call, &f->client, "Commit", NULL, min_usec(f->commit, now_usec() + COMMIT_USEC),
                    &answer);
    if (r < 0) {
        f->unsure = r != -EREMOTEIO;
        return r;
    }
    json_object_put(answer);
    return 0;
}

/* A Commit that is answered late would hold on without us. */
static void take_back(struct freeze *f)
{
    struct wire_client client = { .fd = -1, .wake_fd = -1 };
    CLEANUP_FREE char *error = NULL;
    json_object *parameters;
    json_object *answer = NULL;

    if (!marker_exists(f->call->runtime_dir) ||
        daemon_connect(f->call, f->undo_holds, &client, NULL) < 0) {
        return;
    }
    parameters = json_object_new_object();
    if (parameters != NULL) {
        (void)json_object_object_add(parameters, "deadline_monotonic",
                                     daemon_time(sub_usec(f->undo_holds, DEADLINE_MARGIN)));
        (void)wire_call(&client, "io.quiesced.Thaw", parameters, f->undo_holds, &error, &answer);
    }
    json_object_put(answer);
    wire_client_close(&client);
}

/* Closing ends all holds; the daemon closes too when they have ended. */
static void let_go(struct freeze *f)
{
    int r;

    f->client.wake_fd = -1;
    do { /* a late answer is not what we wait for */
        r = wire_finish(&f->client, f->undo_holds);
    } while (r == -EBADMSG && now_usec() < f->undo_holds);
    wire_client_close(&f->client);
    if (f->unsure) {
        take_back(f);
    }
    if (r == -ETIMEDOUT) {
        call_fail(f->call, "quiesced has not said in time that all holds have ended; "
                           "hold-timeout ends them at the latest");
    }
}

/* Half of what plan() leaves after undo_holds. */
static uint64_t least_for_record(const struct freeze *f)
{
    return min_usec(f->call->settings.freeze_timeout / 16, DEADLINE_MARGIN) / 2;
}

/* We were stopped for long: the answer is late whatever we do, and so an older record
 * must not stay, nor what was undone be unknown, for the sake of a few milliseconds. */
static void allow_for_stop(struct freeze *f)
{
    uint64_t now = now_usec();

    if (now + least_for_record(f) >= f->end) {
        f->undo_holds = now + LATE_USEC;
        f->undo_scripts = f->undo_holds + LATE_USEC;
        f->end = f->undo_scripts + LATE_USEC;
    } else {
        /* the holds end before the scripts thaw, if the daemon was stopped too */
        f->undo_holds = max_usec(f->undo_holds, now + sub_usec(f->undo_scripts, now) / 2);
    }
}

static void undo(struct freeze *f)
{
    struct call *call = f->call;
    uint64_t answer = min_usec(ANSWER_USEC, call->settings.freeze_timeout / 64);

    call->failed = true;
    allow_for_stop(f);
    if (f->client.fd >= 0) {
        let_go(f);
    }
    sequence_thaw(call, &f->scripts, f->n_scripts, &f->pending, f->undo_scripts);
    record_set_state(&call->record, RECORD_FAILED, RECORD_NO_VERDICT);
    call_write(call, RECORD_NEW,
               max_usec(f->end - answer, now_usec() + least_for_record(f)));
}

void freeze(struct call *call)
{
    struct freeze f = {
        .call = call,
        .pending = PENDING_NONE,
        .client = { .fd = -1, .wake_fd = -1 },
    };
    int r;

    plan(&f);
    r = forward(&f);
    if (r == 0) {
        r = commit(&f);
    }
    if (r < 0) {
        undo(&f);
    }
    wire_client_close(&f.client);
    pending_close(&f.pending);
    scripts_free(&f.scripts);
    apps_free(&f.apps);
}
