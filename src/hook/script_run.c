/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "child.h"
#include "script_run.h"
#include "util.h"

#define READ_SIZE (16U * 1024)
#define READS_AFTER_END 64              /* a background child may print without end */
#define KILL_USEC (100 * USEC_PER_MSEC) /* for a SIGKILL to be felt */

/* Both are initialised, and destroyed by the caller. */
static int prepare_spawn(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes,
                         int output)
{
    const short flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    sigset_t none;
    sigset_t pipe;
    int r;

    (void)sigemptyset(&none);
    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE); /* the agent ignores it */
    r = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    r = r != 0 ? r : posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
    r = r != 0 ? r : posix_spawn_file_actions_adddup2(actions, output, STDERR_FILENO);
    r = r != 0 ? r : posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
    r = r != 0 ? r : posix_spawnattr_setflags(attributes, flags);
    r = r != 0 ? r : posix_spawnattr_setpgroup(attributes, 0);
    r = r != 0 ? r : posix_spawnattr_setsigmask(attributes, &none);
    r = r != 0 ? r : posix_spawnattr_setsigdefault(attributes, &pipe);
    return -r;
}

/* A file without #! is the shell's, as it was for the stock hook. */
static int spawn_file(const char *path, const char *verb, const posix_spawn_file_actions_t *actions,
                      const posix_spawnattr_t *attributes, pid_t *ret_pid)
{
    char *const direct[] = { (char *)path, (char *)verb, NULL };
    char *const by_shell[] = { (char *)"sh", (char *)path, (char *)verb, NULL };
    int r = posix_spawn(ret_pid, path, actions, attributes, direct, environ);

    if (r == ENOEXEC) {
        r = posix_spawn(ret_pid, "/bin/sh", actions, attributes, by_shell, environ);
    }
    return -r;
}

static int spawn(const char *path, const char *verb, int output, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int r = posix_spawn_file_actions_init(&actions);

    if (r != 0) {
        return -r;
    }
    r = posix_spawnattr_init(&attributes);
    if (r != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return -r;
    }
    r = prepare_spawn(&actions, &attributes, output);
    if (r == 0) {
        r = spawn_file(path, verb, &actions, &attributes, ret_pid);
    }
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return r;
}

int script_run_start(const char *path, const char *verb, script_line_fn *say, void *data,
                     struct script_run *ret_run)
{
    struct script_run run = {
        .path = path,
        .pidfd = -1,
        .output = -1,
        .say = say,
        .data = data,
        .line_said = true,
    };
    CLEANUP_CLOSE int reading = -1;
    CLEANUP_CLOSE int writing = -1;
    int ends[2];
    int r;

    if (pipe2(ends, O_CLOEXEC) < 0) {
        return -errno;
    }
    reading = ends[0];
    writing = ends[1];
    /* of the reading end alone: a script may not know EAGAIN */
    if (fcntl(reading, F_SETFL, O_NONBLOCK) < 0) {
        return -errno;
    }
    run.started = now_usec();
    r = spawn(path, verb, writing, &run.pid);
    if (r < 0) {
        return r;
    }
    run.pidfd = child_pidfd(run.pid);
    if (run.pidfd < 0) {
        (void)kill(-run.pid, SIGKILL);
        (void)waitpid(run.pid, NULL, WNOHANG);
        return run.pidfd;
    }
    run.output = reading;
    reading = -1;
    *ret_run = run;
    return 0;
}

static void end_line(struct script_run *run)
{
    run->line[run->n_line] = '\0';
    run->n_line = 0;
    run->line_said = true;
    run->say(run->data, run->path, run->line);
}

static void take_output(struct script_run *run, const char *data, size_t n)
{
    size_t taken = n < SCRIPT_OUTPUT_MAX - run->kept ? n : SCRIPT_OUTPUT_MAX - run->kept;

    run->kept += taken;
    run->dropped += n - taken;
    for (size_t i = 0; i < taken; i++) {
        if (data[i] == '\n') {
            end_line(run);
            continue;
        }
        run->line[run->n_line++] = data[i];
        run->line_said = false;
        if (run->n_line == SCRIPT_LINE_MAX) {
            end_line(run);
        }
    }
}

/* Once, so that nobody's flood delays the others. True when there may be more. */
static bool read_output(struct script_run *run)
{
    char data[READ_SIZE];
    ssize_t n = read(run->output, data, sizeof(data));

    if (n > 0) {
        take_output(run, data, (size_t)n);
        return true;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        run->output = util_close(run->output);
    }
    return false;
}

/* It stays a zombie: its pid is its group's, and must not become another one's. */
static void look_for_end(struct script_run *run)
{
    siginfo_t info = { 0 };

    if (waitid(P_PID, (id_t)run->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
        info.si_pid != run->pid) {
        return;
    }
    run->ended = true;
    run->code = info.si_code;
    run->status = info.si_status;
    run->usec = now_usec() - run->started;
}

/* One turn. The number of runs that have not ended, or -errno. */
static int poll_runs(struct script_run *const *runs, size_t n, int wake_fd, uint64_t deadline)
{
    struct pollfd fds[1 + 2 * SCRIPT_RUNS_MAX];
    int alive = 0;

    fds[0] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
    for (size_t i = 0; i < n; i++) {
        bool ended = runs[i]->ended;

        fds[1 + 2 * i] = (struct pollfd){ ended ? -1 : runs[i]->pidfd, POLLIN, 0 };
        fds[2 + 2 * i] = (struct pollfd){ ended ? -1 : runs[i]->output, POLLIN, 0 };
    }
    if (poll(fds, 1 + 2 * n, deadline_ms(deadline)) < 0) {
        return errno == EINTR ? 1 : -errno;
    }
    for (size_t i = 0; i < n; i++) {
        if (fds[2 + 2 * i].revents != 0) {
            (void)read_output(runs[i]);
        }
        if (fds[1 + 2 * i].revents != 0) {
            look_for_end(runs[i]);
        }
        alive += runs[i]->ended ? 0 : 1;
    }
    return alive > 0 && fds[0].revents != 0 ? -EINTR : alive;
}

int script_run_wait(struct script_run *const *runs, size_t n, int wake_fd, uint64_t deadline)
{
    int alive = 0;

    assert(n <= SCRIPT_RUNS_MAX);
    for (size_t i = 0; i < n; i++) {
        alive += runs[i]->ended ? 0 : 1;
    }
    while (alive > 0) {
        bool late = now_usec() >= deadline;

        alive = poll_runs(runs, n, wake_fd, deadline);
        if (alive > 0 && late) {
            return -ETIMEDOUT;
        }
    }
    return alive;
}

void script_run_kill(struct script_run *run, uint64_t grace)
{
    if (!run->ended) {
        (void)kill(-run->pid, SIGTERM);
        (void)script_run_wait(&run, 1, -1, now_usec() + grace);
    }
    (void)kill(-run->pid, SIGKILL);
    if (!run->ended) {
        (void)script_run_wait(&run, 1, -1, now_usec() + KILL_USEC);
    }
}

static void say_dropped(struct script_run *run)
{
    char text[96];

    if (run->dropped == 0) {
        return;
    }
    (void)snprintf(text, sizeof(text), "(%" PRIu64 " bytes more were dropped)", run->dropped);
    run->say(run->data, run->path, text);
}

void script_run_close(struct script_run *run)
{
    for (int i = 0; run->output >= 0 && i < READS_AFTER_END; i++) {
        if (!read_output(run)) {
            break;
        }
    }
    if (run->output >= 0) {
        (void)child_drain(run->output); /* without it, a SIGPIPE for whoever writes */
        run->output = util_close(run->output);
    }
    if (!run->line_said) {
        end_line(run);
    }
    say_dropped(run);
    if (run->ended) {
        (void)waitpid(run->pid, NULL, WNOHANG);
    }
    run->pidfd = util_close(run->pidfd);
}

bool script_run_failed(const struct script_run *run)
{
    return !run->ended || run->code != CLD_EXITED || run->status != 0;
}

char *script_run_error(const struct script_run *run)
{
    const char *colon = run->kept > 0 && run->line[0] != '\0' ? ": " : "";
    const char *last = run->kept > 0 ? run->line : "";
    char *text = NULL;
    int n;

    if (!run->ended) {
        n = asprintf(&text, "still running with pid %ld%s%s", (long)run->pid, colon, last);
    } else if (run->code != CLD_EXITED) {
        n = asprintf(&text, "killed by signal %d (%s)%s%s", run->status, strsignal(run->status),
                     colon, last);
    } else if (run->status != 0) {
        n = asprintf(&text, "exit status %d%s%s", run->status, colon, last);
    } else {
        return NULL;
    }
    return n < 0 ? NULL : text;
}
