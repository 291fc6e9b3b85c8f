/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * snapshot MOUNTPOINT IMAGE COPY HOLD-MS [HOOK]: what guest agent and host do
 *
 * Calls HOOK freeze as qemu-ga does, freezes MOUNTPOINT, clones IMAGE to COPY, thaws
 * HOLD-MS after it froze, and calls HOOK thaw. Prints one "NAME NUMBER" a line: times
 * in nanoseconds of CLOCK_MONOTONIC, statuses, and what CLOCK_REALTIME is ahead.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum {
    STATUS_NOT_RUN = -1,
};

struct times {
    int64_t freeze_begin;
    int64_t freeze_end;
    int64_t frozen;
    int64_t copied;
    int64_t thaw;
    int64_t thawed;
    int64_t thaw_begin;
    int64_t thaw_end;
};

static int64_t clock_nsec(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t now_nsec(void)
{
    return clock_nsec(CLOCK_MONOTONIC);
}

static void die(const char *what)
{
    (void)fprintf(stderr, "snapshot: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static int call_hook(char *hook, char *verb)
{
    char *const argv[] = { hook, verb, NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int status;
    pid_t pid;

    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
    (void)posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_RDWR, 0);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    errno = posix_spawn(&pid, hook, &actions, &attributes, argv, environ);
    if (errno != 0) {
        die(hook);
    }
    if (waitpid(pid, &status, 0) != pid) {
        die("waitpid");
    }
    return status;
}

static void clone_image(const char *image, const char *copy)
{
    int from = open(image, O_RDONLY | O_CLOEXEC);
    int to = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (from < 0 || to < 0 || ioctl(to, FICLONE, from) < 0) {
        (void)fprintf(stderr, "snapshot: cannot clone '%s': %s\n", image, strerror(errno));
    }
    (void)close(from);
    (void)close(to);
}

static void sleep_until(int64_t nsec)
{
    struct timespec t = { .tv_sec = nsec / 1000000000, .tv_nsec = nsec % 1000000000 };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

static void print(const char *name, int64_t number)
{
    (void)printf("%s %" PRId64 "\n", name, number);
}

static void take(int fd, const char *image, const char *copy, int64_t hold, struct times *t)
{
    if (ioctl(fd, FIFREEZE, 0) < 0) {
        die("FIFREEZE");
    }
    t->frozen = now_nsec();
    clone_image(image, copy);
    t->copied = now_nsec();
    sleep_until(t->frozen + hold);
    t->thaw = now_nsec();
    if (ioctl(fd, FITHAW, 0) < 0) {
        die("FITHAW");
    }
    t->thawed = now_nsec();
}

int main(int argc, char **argv)
{
    struct times t = { 0 };
    int freeze_status = STATUS_NOT_RUN;
    int thaw_status = STATUS_NOT_RUN;
    char *hook = argc == 6 ? argv[5] : NULL;
    int fd;

    if (argc != 5 && argc != 6) {
        (void)fprintf(stderr, "usage: snapshot MOUNTPOINT IMAGE COPY HOLD-MS [HOOK]\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        die(argv[1]);
    }
    t.freeze_begin = now_nsec();
    if (hook != NULL) {
        freeze_status = call_hook(hook, (char *)"freeze");
    }
    t.freeze_end = now_nsec();
    take(fd, argv[2], argv[3], strtol(argv[4], NULL, 10) * 1000000, &t);
    t.thaw_begin = now_nsec();
    if (hook != NULL) {
        thaw_status = call_hook(hook, (char *)"thaw");
    }
    t.thaw_end = now_nsec();
    print("freeze_begin", t.freeze_begin);
    print("freeze_end", t.freeze_end);
    print("frozen", t.frozen);
    print("copied", t.copied);
    print("thaw", t.thaw);
    print("thawed", t.thawed);
    print("thaw_begin", t.thaw_begin);
    print("thaw_end", t.thaw_end);
    print("freeze_status", freeze_status);
    print("thaw_status", thaw_status);
    print("realtime_ahead", clock_nsec(CLOCK_REALTIME) - now_nsec());
    return EXIT_SUCCESS;
}
