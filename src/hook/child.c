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
#define CHILD_DYING_USEC (50 * USEC_PER_MSEC) /* for a SIGKILL to be felt */

enum {
    CHILD_FD = 3, /* where a child finds the descriptor that it keeps */
};

int child_pidfd(int pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    return fd >= 0 ? fd : -errno;
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
