/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * at_syscall NUMBER SIGNAL NOTE PROGRAM [ARGUMENT...]: runs PROGRAM and sends it SIGNAL
 * when it enters its NUMBERth system call after the exec, so that it can be ended or
 * stopped at every step there is. NUMBER 0 sends nothing. At the end NOTE, a file that
 * exists, gets one line: "sent NUMBER" or "ended NUMBER", with the calls that were seen.
 *
 * PROGRAM keeps the process, its parent and its descriptors: who traces it is its child.
 *
 * at_syscall NUMBER SIGNAL NOTE PID: the same for a process that runs, from the line
 * "attached 0" in NOTE on.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void note(int fd, const char *what, long n)
{
    char line[64];
    int size = snprintf(line, sizeof(line), "%s %ld\n", what, n);

    (void)!write(fd, line, (size_t)size);
}

/* One stop of @pid. 1 at the entry of a system call, 0 for another one, -1 at its end. */
static int next_stop(pid_t pid, int deliver, int *inside, int *ret_signal)
{
    int status;

    *ret_signal = 0;
    if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)deliver) < 0 ||
        waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status)) {
        return -1;
    }
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
        *inside = !*inside;
        return *inside;
    }
    if (status >> 16 == 0) {
        *ret_signal = WSTOPSIG(status);
    } else if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8)) {
        return 2;
    }
    return 0;
}

static int trace(pid_t pid, long number, int signal_number, int fd, int counting)
{
    long n = 0;
    int inside = 0;
    int deliver = 0;
    int status;

    if (waitpid(pid, &status, __WALL) != pid) {
        return 1;
    }
    if (counting) {
        note(fd, "attached", 0);
    }
    for (;;) {
        int stop = next_stop(pid, deliver, &inside, &deliver);

        if (stop < 0) {
            note(fd, "ended", n);
            return 0;
        }
        if (stop == 2) {
            counting = 1;
        } else if (stop == 1 && counting && ++n == number) {
            note(fd, "sent", n);
            (void)syscall(SYS_kill, pid, signal_number);
            (void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
            return 0;
        }
    }
}

/* Traces @pid until it is sent the signal, or ends. Does not return. */
static void seize(pid_t pid, char **argv, int fd, int says)
{
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC;

    if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)options) < 0 ||
        ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0) {
        _exit(97);
    }
    if (says >= 0) {
        (void)!write(says, "", 1);
        (void)close(says);
    }
    _exit(trace(pid, atol(argv[1]), atoi(argv[2]), fd, says < 0));
}

int main(int argc, char **argv)
{
    int ready[2];
    int fd;
    char byte;

    if (argc < 5 || pipe2(ready, O_CLOEXEC) < 0) {
        return 99;
    }
    (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    fd = open(argv[3], O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0) {
        return 98;
    }
    if (argc == 5 && argv[4][0] >= '1' && argv[4][0] <= '9') {
        seize((pid_t)atol(argv[4]), argv, fd, -1);
    }
    if (fork() == 0) {
        pid_t parent = getppid();
        int kept = dup2(fd, 500);
        int says = dup2(ready[1], 501);

        /* nobody who waits for an end of file is to wait for this process */
        (void)syscall(SYS_close_range, 0, 499, 0);
        (void)setpgid(0, 0);
        seize(parent, argv, kept, says);
    }
    (void)close(ready[1]);
    if (read(ready[0], &byte, 1) != 1) {
        return 96;
    }
    (void)execv(argv[4], argv + 4);
    return 95;
}
