/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <inttypes.h>
#include <poll.h>
#include <signal.h>

#include "child.h"
#include "script_run.h"
#include "sequence.h"
#include "util.h"

/* From SIGTERM to SIGKILL; half a second by default, and less when time is short. */
#define GRACE_SHARE 40
#define ORPHAN_USEC (200 * USEC_PER_MSEC) /* the same, for another hook's script */

static void say_line(void *data, const char *path, const char *line)
{
    call_note(data, "script '%s': %s", path, line);
}

static void fail_or_warn(struct call *call, const struct script *script, const char *what,
                         const char *why)
{
    switch (script->weight) {
    case SCRIPT_STRICT:
        call_fail(call, "script '%s' %s: %s", script->path, what, why);
        return;
    case SCRIPT_LENIENT:
        call_warn(call, "script '%s' %s: %s", script->path, what, why);
        return;
    }
    abort();
}

/* A list that cannot be written fails a freeze, and never a thaw. */
static int remember(struct call *call, const struct script *script, struct pending *pending,
                    enum pending_verb verb, pid_t pid)
{
    int r = pending_set(pending, script->path, script->weight, verb, pid);

    if (r == 0) {
        return 0;
    }
    if (verb == PENDING_FREEZE) {
        call_fail(call, "script '%s' was not run: cannot note it in '%s': %s", script->path,
                  pending->directory, strerror(-r));
    } else {
        call_warn(call, "cannot note script '%s' in '%s': %s", script->path, pending->directory,
                  strerror(-r));
    }
    return r;
}

/*
 * Starts @script; it is remembered before it can do anything. 1 when it runs, 0 when
 * it does not and that is no failure, -errno.
 */
static int begin(struct call *call, const struct script *script, struct pending *pending,
                 enum pending_verb verb, struct script_run *ret_run)
{
    const char *name = verb == PENDING_FREEZE ? "freeze" : "thaw";
    int r = script_run_start(script->path, name, say_line, call, ret_run);

    if (r == 0) {
        r = remember(call, script, pending, verb, ret_run->pid);
        if (r < 0 && verb == PENDING_FREEZE) {
            script_run_cancel(ret_run);
            return r;
        }
        r = script_run_go(ret_run);
    }
    if (r == 0) {
        return 1;
    }
    record_set_script(&call->record, script->path, name, "failed", 0, strerror(-r));
    fail_or_warn(call, script, "cannot be started", strerror(-r));
    (void)pending_remove(pending, script->path);
    return script->weight == SCRIPT_STRICT ? r : 0;
}

/* Ends a freeze script. NULL, or why it failed (to be freed). */
static char *finish_freeze(const struct call *call, struct script_run *run, int waited,
                           uint64_t allowed)
{
    char *error = NULL;

    if (waited < 0 || script_run_failed(run)) {
        script_run_kill(run, call->settings.freeze_timeout / GRACE_SHARE);
    }
    script_run_close(run);
    if (waited == -ETIMEDOUT) {
        if (asprintf(&error, "not done within %" PRIu64 " ms, %s", allowed / USEC_PER_MSEC,
                     run->ended ? "killed" : "and cannot be killed") < 0) {
            return NULL;
        }
        return error;
    }
    if (waited < 0) {
        return strdup(waited == -EINTR ? "the hook was told to end" : strerror(-waited));
    }
    return script_run_error(run);
}

/* 0, or -errno when the freeze has to fail, after saying so. */
static int freeze_one(struct call *call, const struct script *script, struct pending *pending,
                      uint64_t deadline, bool *ret_begun)
{
    uint64_t now = now_usec();
    uint64_t end = min_usec(deadline, now + call->settings.script_timeout);
    struct script_run run;
    struct script_run *runs[] = { &run };
    CLEANUP_FREE char *error = NULL;
    bool failed;
    int waited;
    int r = begin(call, script, pending, PENDING_FREEZE, &run);

    *ret_begun = r > 0;
    if (r <= 0) {
        return r;
    }
    waited = script_run_wait(runs, 1, call->wake_fd, end);
    failed = waited < 0 || script_run_failed(&run);
    error = finish_freeze(call, &run, waited, sub_usec(end, now));
    record_set_script(&call->record, script->path, "freeze",
                      !failed                ? "ok"
                      : waited == -ETIMEDOUT ? "late"
                                             : "failed",
                      now_usec() - run.started, error);
    if (waited == -EINTR) {
        call_warn(call, "script '%s' was killed: the hook was told to end", script->path);
        return -EINTR;
    }
    if (failed) {
        fail_or_warn(call, script, "failed to freeze", error != NULL ? error : "no memory");
    } else {
        call_note(call, "script '%s' has frozen after %" PRIu64 " ms", script->path,
                  run.usec / USEC_PER_MSEC);
    }
    return failed && script->weight == SCRIPT_STRICT ? -ECHILD : 0;
}

int sequence_freeze(struct call *call, const struct scripts *scripts, struct pending *pending,
                    uint64_t deadline, size_t *ret_n)
{
    size_t n = 0;
    int r = 0;

    while (n < scripts->n && r == 0) {
        const struct script *script = &scripts->list[n];
        bool begun = true;

        if (script->refused == NULL) {
            r = freeze_one(call, script, pending, deadline, &begun);
        }
        n += r == 0 || begun ? 1 : 0;
    }
    *ret_n = n;
    return r;
}

/* True once the process of @old has ended; it need not be our child. */
static bool gone_by(const struct pending_script *old, uint64_t deadline)
{
    CLEANUP_CLOSE int pidfd = child_pidfd(old->pid);
    struct pollfd p = { .fd = pidfd, .events = POLLIN };

    if (pidfd < 0 || !pending_running(old)) { /* in this order: pids are used again */
        return true;
    }
    return poll(&p, 1, deadline_ms(deadline)) > 0;
}

/* The freeze script of a hook that was killed is late by now. */
static void kill_orphan(struct call *call, const struct pending_script *old)
{
    call_warn(call, "script '%s' was still freezing with pid %ld for a hook that is gone, killed",
              old->path, (long)old->pid);
    (void)kill(-old->pid, SIGTERM);
    if (!gone_by(old, now_usec() + ORPHAN_USEC)) {
        (void)kill(-old->pid, SIGKILL);
        (void)gone_by(old, now_usec() + ORPHAN_USEC);
    }
}

/* Does nothing of an earlier call's stand in the way of @script's thaw? */
static bool ready_to_thaw(struct call *call, const struct script *script,
                          const struct pending *pending, uint64_t deadline)
{
    const struct pending_script *old = pending_lookup(pending, script->path);

    if (old == NULL || !pending_running(old)) {
        return true;
    }
    if (old->verb == PENDING_FREEZE) {
        kill_orphan(call, old);
        return true;
    }
    if (gone_by(old, deadline)) {
        return true;
    }
    call_fail(call, "script '%s' of an earlier thaw still runs with pid %ld", script->path,
              (long)old->pid);
    return false;
}

/* True when it runs. */
static bool start_thaw(struct call *call, const struct script *script, struct pending *pending,
                       uint64_t ordered, struct script_run *ret_run)
{
    if (script->refused != NULL) {
        call_warn(call, "script '%s' is refused: %s", script->path, script->refused);
        return false;
    }
    if (!ready_to_thaw(call, script, pending, ordered)) {
        return false;
    }
    return begin(call, script, pending, PENDING_THAW, ret_run) > 0;
}

static void finish_thaw(struct call *call, const struct script *script, struct pending *pending,
                        struct script_run *run)
{
    CLEANUP_FREE char *error = NULL;
    int r;

    script_run_close(run);
    error = script_run_error(run);
    record_set_script(&call->record, script->path, "thaw",
                      !run->ended              ? "late"
                      : script_run_failed(run) ? "failed"
                                               : "ok",
                      now_usec() - run->started, error);
    if (!run->ended) {
        call_fail(call, "script '%s' has not thawed in time: %s", script->path,
                  error != NULL ? error : "still running");
        return;
    }
    if (script_run_failed(run)) {
        fail_or_warn(call, script, "failed to thaw", error != NULL ? error : "no memory");
    } else {
        call_note(call, "script '%s' has thawed after %" PRIu64 " ms", script->path,
                  run->usec / USEC_PER_MSEC);
    }
    r = pending_remove(pending, script->path);
    if (r < 0) {
        call_warn(call, "cannot change the list in '%s': %s", pending->directory, strerror(-r));
    }
}

/* Those that outlive the time in which order is kept. */
struct thaw_runs {
    struct script_run *list;
    struct script_run **pointers;
    const struct script **scripts;
    size_t n;
};

static int thaw_runs_init(struct thaw_runs *runs, size_t n)
{
    *runs = (struct thaw_runs){
        .list = calloc(n, sizeof(*runs->list)),
        .pointers = calloc(n, sizeof(struct script_run *)),
        .scripts = calloc(n, sizeof(struct script *)),
    };
    return runs->list != NULL && runs->pointers != NULL && runs->scripts != NULL ? 0 : -ENOMEM;
}

static void thaw_runs_free(struct thaw_runs *runs)
{
    free(runs->list);
    free(runs->pointers);
    free(runs->scripts);
}

void sequence_thaw(struct call *call, const struct scripts *scripts, size_t n,
                   struct pending *pending, uint64_t deadline)
{
    uint64_t now = now_usec();
    uint64_t ordered = now + sub_usec(deadline, now) / 4 * 3;
    struct thaw_runs runs;

    if (n == 0) {
        return;
    }
    if (thaw_runs_init(&runs, n) < 0) {
        thaw_runs_free(&runs);
        call_fail(call, "cannot thaw the scripts: %s", strerror(ENOMEM));
        return;
    }
    for (size_t i = n; i > 0; i--) {
        const struct script *script = &scripts->list[i - 1];
        struct script_run *run = &runs.list[runs.n];

        if (!start_thaw(call, script, pending, ordered, run)) {
            continue;
        }
        if (script_run_wait(&run, 1, -1, ordered) == 0) {
            finish_thaw(call, script, pending, run);
            continue;
        }
        runs.scripts[runs.n] = script;
        runs.pointers[runs.n++] = run;
    }
    (void)script_run_wait(runs.pointers, runs.n, -1, deadline);
    for (size_t i = 0; i < runs.n; i++) {
        finish_thaw(call, runs.scripts[i], pending, &runs.list[i]);
    }
    thaw_runs_free(&runs);
}

int sequence_add_pending(struct call *call, const struct pending *pending, struct scripts *scripts)
{
    for (size_t i = 0; i < pending->n; i++) {
        const struct pending_script *old = &pending->list[i];
        int r;

        if (scripts_lookup(scripts, old->path) != NULL) {
            continue;
        }
        r = scripts_add(scripts, old->path, old->weight);
        if (r == -ENOMEM) {
            return r;
        }
        if (r == 0) {
            call_warn(call, "script '%s' was frozen, and cannot be thawed: it is gone", old->path);
        }
    }
    return 0;
}

/* Those that a thaw of now cannot help: gone, refused, or thawed unseen. */
void sequence_forget(struct call *call, struct pending *pending)
{
    for (size_t i = pending->n; i > 0; i--) {
        const struct pending_script *old = &pending->list[i - 1];

        if (old->verb == PENDING_THAW && pending_running(old)) {
            continue;
        }
        call_note(call, "script '%s' is not remembered any longer", old->path);
        (void)pending_remove(pending, old->path);
    }
}

/* How many thaw scripts of an earlier call still run; says which. */
static size_t say_running(struct call *call, const struct pending *pending)
{
    size_t n = 0;

    for (size_t i = 0; i < pending->n; i++) {
        const struct pending_script *old = &pending->list[i];

        if (old->verb == PENDING_THAW && pending_running(old)) {
            call_fail(call, "script '%s' of an earlier thaw still runs with pid %ld", old->path,
                      (long)old->pid);
            n++;
        }
    }
    return n;
}

int sequence_thaw_pending(struct call *call, struct pending *pending, uint64_t deadline)
{
    struct scripts scripts = { 0 };
    size_t n_running = say_running(call, pending);

    for (size_t i = 0; i < pending->n; i++) {
        const struct pending_script *old = &pending->list[i];

        if (old->verb == PENDING_FREEZE && scripts_add(&scripts, old->path, SCRIPT_LENIENT) <= 0) {
            call_warn(call, "script '%s' was frozen, and cannot be thawed: it is gone", old->path);
        }
    }
    if (scripts.n > 0) {
        call_warn(call, "%zu scripts are still frozen from an earlier call: they are thawed first",
                  scripts.n);
    }
    sequence_thaw(call, &scripts, scripts.n, pending, deadline);
    scripts_free(&scripts);
    sequence_forget(call, pending);
    return n_running > 0 || pending->n > 0 ? -EBUSY : 0;
}
