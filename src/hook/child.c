/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "child.h"
#include "util.h"

#define CHILD_TEXT_MAX 1024
#define TICKS_PER_SEC 100U /* USER_HZ, on every architecture of today */
#define NSEC_PER_SEC 1000000000U
#define CHILD_DYING_USEC (50 * USEC_PER_MSEC) /* for a SIGKILL to be felt */

enum {
    CHILD_FD = 3, /* where a child finds the descriptor that it keeps */
};

int child_pidfd(int pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    return fd >= 0 ? fd : -errno;
}

uint64_t child_clock(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * TICKS_PER_SEC +
           (uint64_t)now.tv_nsec / (NSEC_PER_SEC / TICKS_PER_SEC);
}

/* The state and the start time of @pid. 0 or -errno. */
static int read_stat(pid_t pid, char *ret_state, uint64_t *ret_start_time)
{
    char path[64];
    char text[1024];
    CLEANUP_CLOSE int fd = -1;
    unsigned long long start_time;
    const char *after;
    char state;
    ssize_t n;

    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    n = read(fd, text, sizeof(text) - 1);
    if (n <= 0) {
        return -ESRCH;
    }
    text[n] = '\0';
    after = strrchr(text, ')'); /* the name before it may hold anything */
    if (after == NULL ||
        sscanf(after + 1,
               " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
               &state, &start_time) != 2) {
        return -EBADMSG;
    }
    *ret_state = state;
    *ret_start_time = start_time;
    return 0;
}

bool child_runs(pid_t pid, uint64_t alive_at)
{
    uint64_t start_time;
    char state;

    return read_stat(pid, &state, &start_time) == 0 && start_time <= alive_at && state != 'Z' &&
           state != 'X';
}

/* In a child: @keep becomes CHILD_FD, and all else goes. */
static void child_isolate(int keep)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (null < 0 || dup2(null, fd) < 0) {
            (void)close(fd);
        }
    }
    if (keep != CHILD_FD && dup2(keep, CHILD_FD) < 0) {
        _exit(1);
    }
    (void)syscall(SYS_close_range, CHILD_FD + 1, ~0U, 0);
}

static void child_work(child_fn *work, void *data, int fd)
{
    const char *text;

    child_isolate(fd);
    text = work(data);
    if (text != NULL) {
        (void)!write(CHILD_FD, text, strnlen(text, CHILD_TEXT_MAX));
    }
    _exit(0);
}

/* True once @pid has ended and was reaped. */
static bool child_ended(pid_t pid, int pidfd, uint64_t deadline)
{
    struct pollfd p = { .fd = pidfd, .events = POLLIN };
    int n;

    do {
        n = poll(&p, 1, deadline_ms(deadline));
    } while (n < 0 && errno == EINTR);
    return n > 0 && waitpid(pid, NULL, WNOHANG) == pid;
}

static int child_read_text(int fd, char **ret_text)
{
    char text[CHILD_TEXT_MAX];
    ssize_t n = read(fd, text, sizeof(text));

    if (n > 0) {
        *ret_text = strndup(text, (size_t)n);
        return *ret_text != NULL ? 0 : -ENOMEM;
    }
    *ret_text = NULL;
    return n < 0 && errno != EAGAIN ? -errno : 0;
}

int child_run(child_fn *work, void *data, uint64_t deadline, char **ret_text)
{
    CLEANUP_CLOSE int reading = -1;
    CLEANUP_CLOSE int writing = -1;
    CLEANUP_CLOSE int pidfd = -1;
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        return -errno;
    }
    reading = ends[0];
    writing = ends[1];
    pid = fork();
    if (pid < 0) {
        return -errno;
    }
    if (pid == 0) {
        child_work(work, data, writing);
    }
    pidfd = child_pidfd(pid);
    if (pidfd < 0) {
        (void)kill(pid, SIGKILL);
        return pidfd;
    }
    if (!child_ended(pid, pidfd, deadline)) {
        (void)kill(pid, SIGKILL);
        (void)child_ended(pid, pidfd, now_usec() + CHILD_DYING_USEC);
        return -ETIMEDOUT;
    }
    return child_read_text(reading, ret_text);
}

int child_drain(int fd)
{
    char scratch[4096];
    pid_t pid = fork();

    if (pid != 0) {
        return pid < 0 ? -errno : 0;
    }
    child_isolate(fd);
    (void)fcntl(CHILD_FD, F_SETFL, fcntl(CHILD_FD, F_GETFL) & ~O_NONBLOCK);
    (void)setsid();
    for (;;) {
        ssize_t n = read(CHILD_FD, scratch, sizeof(scratch));

        if (n == 0 || (n < 0 && errno != EINTR)) {
            _exit(0);
        }
    }
}
