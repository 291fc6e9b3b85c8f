/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "child.h"
#include "script_run.h"
#include "util.h"

#define READ_SIZE (16U * 1024)
#define READS_AFTER_END 64 /* a background child may print without end */
#define EXEC_MS 1000
#define STACK_SIZE (16U * 1024)
#define KILL_USEC (100 * USEC_PER_MSEC) /* for a SIGKILL to be felt */

/* Both ends of three pipes; those that are given away become -1. */
struct pipes {
    int output[2];
    int go[2];
    int exec[2];
};

#define PIPES_NONE              \
    {                           \
        { -1, -1 }, { -1, -1 }, \
        {                       \
            -1, -1              \
        }                       \
    }

static void close_pair(int pair[2])
{
    pair[0] = util_close(pair[0]);
    pair[1] = util_close(pair[1]);
}

static void close_pipes(struct pipes *pipes)
{
    close_pair(pipes->output);
    close_pair(pipes->go);
    close_pair(pipes->exec);
}

static int open_pipes(struct pipes *pipes)
{
    if (pipe2(pipes->output, O_CLOEXEC) < 0 || pipe2(pipes->go, O_CLOEXEC) < 0 ||
        pipe2(pipes->exec, O_CLOEXEC) < 0) {
        return -errno;
    }
    /* of the reading end alone: a script may not know EAGAIN */
    return fcntl(pipes->output[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

/* Of what runs on a stack of its own: the address sanitizer knows of none. */
#define ON_OTHER_STACK __attribute__((no_sanitize_address))

/* What a script expects: as from a shell, and nothing of ours. */
ON_OTHER_STACK static void make_clean(int output)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    sigset_t none;

    (void)setpgid(0, 0);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0 ||
        syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0) {
        _exit(127);
    }
    (void)signal(SIGPIPE, SIG_DFL); /* the agent ignores it */
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * The child until it executes the script. It has our memory and not a copy, which would
 * cost more than the script's own start: so it has a stack of its own, changes nothing
 * but that, and makes system calls alone. They do not fail before we wait for the
 * execution; so errno, which is both's, is nobody's trouble.
 */
struct birth {
    const char *path;
    const char *verb;
    struct pipes pipes;
    _Alignas(max_align_t) char stack[STACK_SIZE];
};

/* A file without #! is the shell's, as it was for the stock hook. */
ON_OTHER_STACK static int become(void *data)
{
    const struct birth *birth = data;
    char *const direct[] = { (char *)birth->path, (char *)birth->verb, NULL };
    char *const by_shell[] = { (char *)"sh", (char *)birth->path, (char *)birth->verb, NULL };
    char go;
    int r;

    (void)close(birth->pipes.go[1]);
    make_clean(birth->pipes.output[1]);
    if (read(birth->pipes.go[0], &go, 1) != 1) {
        _exit(127);
    }
    (void)execv(birth->path, direct);
    if (errno == ENOEXEC) {
        (void)execv("/bin/sh", by_shell);
    }
    r = -errno;
    (void)!write(birth->pipes.exec[1], &r, sizeof(r));
    _exit(127);
}

/* The pid, or -errno. *ret_birth is the child's until it has executed the script. */
static pid_t give_birth(const char *path, const char *verb, const struct pipes *pipes,
                        struct birth **ret_birth)
{
    struct birth *birth = malloc(sizeof(*birth));
    pid_t pid;

    if (birth == NULL) {
        return -ENOMEM;
    }
    birth->path = path;
    birth->verb = verb;
    birth->pipes = *pipes;
    pid = clone(become, birth->stack + STACK_SIZE, CLONE_VM | SIGCHLD, birth);
    if (pid < 0) {
        int r = -errno;

        free(birth);
        return r;
    }
    *ret_birth = birth;
    return pid;
}

int script_run_start(const char *path, const char *verb, script_line_fn *say, void *data,
                     struct script_run *ret_run)
{
    struct pipes pipes = PIPES_NONE;
    struct script_run run = { .path = path, .say = say, .data = data, .line_said = true };
    int r = open_pipes(&pipes);

    if (r == 0) {
        run.pid = give_birth(path, verb, &pipes, &run.birth);
        r = run.pid < 0 ? run.pid : 0;
    }
    if (r < 0) {
        close_pipes(&pipes);
        return r;
    }
    (void)setpgid(run.pid, run.pid); /* so that there is a group to kill from now on */
    run.started = now_usec();
    run.pidfd = child_pidfd(run.pid);
    if (run.pidfd < 0) {
        (void)kill(run.pid, SIGKILL);
        (void)waitpid(run.pid, NULL, 0);
        close_pipes(&pipes);
        return run.pidfd;
    }
    run.output = pipes.output[0];
    run.go = pipes.go[1];
    run.exec = pipes.exec[0];
    pipes.output[0] = pipes.go[1] = pipes.exec[0] = -1;
    close_pipes(&pipes);
    *ret_run = run;
    return 0;
}

int script_run_go(struct script_run *run)
{
    struct pollfd p = { .fd = run->exec, .events = POLLIN };
    int r = 0;

    (void)!write(run->go, "g", 1);
    run->go = util_close(run->go);
    /* its end of file is the execution; one that hangs is late like any other */
    if (poll(&p, 1, EXEC_MS) <= 0) {
        run->birth = NULL; /* still in use */
    } else if (read(run->exec, &r, sizeof(r)) != sizeof(r)) {
        r = 0;
        free(run->birth);
        run->birth = NULL;
    }
    run->exec = util_close(run->exec);
    if (r < 0) {
        script_run_cancel(run);
    }
    return r;
}

void script_run_cancel(struct script_run *run)
{
    run->go = util_close(run->go);
    (void)script_run_wait(&run, 1, -1, now_usec() + KILL_USEC);
    script_run_close(run);
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
    run->go = util_close(run->go);
    run->exec = util_close(run->exec);
    if (run->birth != NULL && run->ended) {
        free(run->birth);
        run->birth = NULL;
    }
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
