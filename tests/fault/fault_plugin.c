/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fault_plugin.c: the plugin of the fault suite, never installed
 *
 * Its application is a file, and its hold a flock() on it, which any process can look
 * at. What it does in a phase says the key of that name:
 *
 *     ok      what it should
 *     fail    an error; in freeze with the lock taken and kept, against the contract
 *     skip    prepare alone: the application does not run
 *     hang    never returns, hears no cancellation, every signal blocked
 *     wait    for the cancellation, and fails at its deadline
 *     crash   SIGSEGV
 *     exit    leaves the process
 *     late    succeeds 300 ms after its deadline
 *     lost    succeeds, and the hold is lost right after
 *     lies    says 0 and has done nothing; prepare says 7
 *     stuck   writes `file` first, which lies on a frozen file system
 *     babble  fails with a long text full of control characters, after many logs
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "quiesced-plugin.h"

#define OPTIONS_MAX 16
#define LATE_USEC 300000

struct fault {
    const struct quiesced_host *host;
    char *values[OPTIONS_MAX];
    int lock_fd;
    int watch_fd; /* an eventfd, or the FIFO `lose` */
    bool held;
};

static const struct quiesced_option fault_options[] = {
    { .key = "lock", .help = "The file that is locked.", .flags = QUIESCED_OPTION_REQUIRED },
    { .key = "trace", .help = "A file that gets a line for each phase." },
    { .key = "file", .help = "What 'stuck' writes." },
    { .key = "lose", .help = "A FIFO; once it has a reader's line, the hold is lost." },
    { .key = "password", .help = "Never to be seen.", .flags = QUIESCED_OPTION_SECRET },
    { .key = "ready", .initial = "ok" },
    { .key = "prepare", .initial = "ok" },
    { .key = "freeze", .initial = "ok" },
    { .key = "check", .initial = "ok" },
    { .key = "thaw", .initial = "ok" },
    { .key = "abort", .initial = "ok" },
    { .key = NULL },
};

static const char *value_of(const struct fault *self, const char *key)
{
    for (size_t i = 0; fault_options[i].key != NULL; i++) {
        if (strcmp(fault_options[i].key, key) == 0) {
            return self->values[i] != NULL ? self->values[i] : "";
        }
    }
    return "";
}

static bool is(const struct fault *self, const char *phase, const char *behaviour)
{
    return strcmp(value_of(self, phase), behaviour) == 0;
}

static void trace(const struct fault *self, const char *phase)
{
    const char *path = value_of(self, "trace");
    char line[32];
    size_t n = strlen(phase);
    int fd;

    if (path[0] == '\0' || n + 1 > sizeof(line)) {
        return;
    }
    memcpy(line, phase, n);
    line[n] = '\n';
    fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, line, n + 1);
        (void)close(fd);
    }
}

static int fail(const struct fault *self, const char *phase, int r, const char *why)
{
    self->host->error(self->host, "cannot %s '%s': %s", phase, value_of(self, "lock"), why);
    return r;
}

static void hang(void)
{
    sigset_t all;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, NULL);
    for (;;) {
        (void)pause();
    }
}

static void sleep_until(uint64_t usec)
{
    const struct timespec at = {
        .tv_sec = (time_t)(usec / 1000000),
        .tv_nsec = (long)(usec % 1000000 * 1000),
    };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
    }
}

static int wait_for_cancel(const struct fault *self, const char *phase, uint64_t deadline)
{
    const struct quiesced_host *host = self->host;
    struct pollfd cancel = { .fd = host->cancel_fd(host), .events = POLLIN };

    while (host->left_ms(host, deadline) > 0) {
        if (poll(&cancel, 1, (int)host->left_ms(host, deadline)) > 0) {
            return -ECANCELED;
        }
    }
    return fail(self, phase, -ETIMEDOUT, "it does not answer");
}

static int write_where_it_is_frozen(const struct fault *self)
{
    int fd = open(value_of(self, "file"), O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, "x", 1) == 1;

    if (fd >= 0) {
        (void)close(fd);
    }
    return written ? 0 : -EIO;
}

static int babble(const struct fault *self, const char *phase)
{
    char text[20000];

    memset(text, 'x', sizeof(text) - 1);
    text[0] = '\n';
    text[1] = '\033';
    text[2] = '\xff';
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < 2000; i++) {
        self->host->log(self->host, QUIESCED_WARNING, "babble\n\033[31m %d %s", i, text + 15000);
    }
    return fail(self, phase, -EIO, text);
}

/* What all phases have in common. */
static int behave(const struct fault *self, const char *phase, uint64_t deadline)
{
    const char *behaviour = value_of(self, phase);

    if (strcmp(behaviour, "fail") == 0) {
        return fail(self, phase, -EIO, "as told");
    }
    if (strcmp(behaviour, "hang") == 0) {
        hang();
    }
    if (strcmp(behaviour, "wait") == 0) {
        return wait_for_cancel(self, phase, deadline);
    }
    if (strcmp(behaviour, "crash") == 0) {
        (void)signal(SIGSEGV, SIG_DFL); /* not a sanitizer's to tell of */
        (void)raise(SIGSEGV);
    }
    if (strcmp(behaviour, "exit") == 0) {
        _exit(3);
    }
    if (strcmp(behaviour, "late") == 0) {
        sleep_until(deadline + LATE_USEC);
    }
    if (strcmp(behaviour, "stuck") == 0) {
        return write_where_it_is_frozen(self);
    }
    return strcmp(behaviour, "babble") == 0 ? babble(self, phase) : 0;
}

static void let_go(struct fault *self)
{
    if (self->held) {
        (void)flock(self->lock_fd, LOCK_UN);
        self->held = false;
    }
}

/* As a server would that ends our session. */
static void lose(struct fault *self)
{
    let_go(self);
    (void)eventfd_write(self->watch_fd, 1);
}

static int fault_create(const struct quiesced_host *host, void **ret_self)
{
    struct fault *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        host->error(host, "cannot begin: %s", strerror(ENOMEM));
        return -ENOMEM;
    }
    self->host = host;
    self->lock_fd = -1;
    self->watch_fd = -1;
    *ret_self = self;
    return 0;
}

static int fault_option(void *data, const char *key, const char *value)
{
    struct fault *self = data;

    for (size_t i = 0; fault_options[i].key != NULL; i++) {
        if (strcmp(fault_options[i].key, key) == 0) {
            self->values[i] = strdup(value);
            return self->values[i] != NULL ? 0 : fail(self, "take", -ENOMEM, "no memory");
        }
    }
    return -EINVAL;
}

static int fault_ready(void *data)
{
    return behave(data, "ready", 0);
}

static int fault_prepare(void *data, uint64_t deadline)
{
    struct fault *self = data;
    const char *fifo = value_of(self, "lose");
    int r;

    trace(self, "prepare");
    if (is(self, "prepare", "skip")) {
        return fail(self, "prepare", QUIESCED_NOT_RUNNING, "it does not run");
    }
    r = is(self, "prepare", "lies") ? 7 : behave(self, "prepare", deadline);
    if (r != 0) {
        return r;
    }
    self->lock_fd = open(value_of(self, "lock"), O_RDWR | O_CLOEXEC);
    self->watch_fd = fifo[0] != '\0' ? open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC)
                                     : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->lock_fd < 0 || self->watch_fd < 0) {
        return fail(self, "prepare", -errno, strerror(errno));
    }
    self->host->server(self->host, "fault 1");
    return 0;
}

static int fault_freeze(void *data, uint64_t deadline, uint64_t hold_deadline)
{
    struct fault *self = data;
    int r;

    (void)hold_deadline;
    trace(self, "freeze");
    if (is(self, "freeze", "lies")) {
        return 0;
    }
    if (flock(self->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        return fail(self, "freeze", -errno, strerror(errno));
    }
    self->held = true;
    r = behave(self, "freeze", deadline);
    if (r == 0) {
        self->host->method(self->host, "flock");
        self->host->coordinate(self->host, "position", "42");
    }
    if (is(self, "freeze", "lost")) {
        lose(self);
    }
    return r;
}

/* Has somebody written into the FIFO `lose`? Then the lock has gone before. */
static bool was_lost(struct fault *self)
{
    struct pollfd watch = { .fd = self->watch_fd, .events = POLLIN };

    if (poll(&watch, 1, 0) > 0) {
        let_go(self);
    }
    return !self->held;
}

static int fault_check(void *data, uint64_t deadline)
{
    struct fault *self = data;
    int r;

    trace(self, "check");
    if (is(self, "check", "lies")) {
        return 0;
    }
    r = behave(self, "check", deadline);
    if (r == 0 && was_lost(self)) {
        return fail(self, "check", -EIO, "the lock has gone");
    }
    if (is(self, "check", "lost")) {
        lose(self);
    }
    return r;
}

static int fault_thaw(void *data, uint64_t deadline)
{
    struct fault *self = data;
    bool lost = was_lost(self);
    int r;

    trace(self, "thaw");
    if (is(self, "thaw", "lies")) {
        return 0;
    }
    r = behave(self, "thaw", deadline);
    if (r == -ECANCELED) {
        return r;
    }
    let_go(self);
    if (r == 0 && (lost || is(self, "thaw", "lost"))) {
        return fail(self, "thaw", -EIO, "the lock had gone");
    }
    return r;
}

static void fault_abort(void *data)
{
    struct fault *self = data;

    trace(self, "abort");
    (void)behave(self, "abort", 0);
    let_go(self);
}

static void fault_destroy(void *data)
{
    struct fault *self = data;

    for (size_t i = 0; i < OPTIONS_MAX; i++) {
        free(self->values[i]);
    }
    if (self->lock_fd >= 0) {
        (void)close(self->lock_fd);
    }
    if (self->watch_fd >= 0) {
        (void)close(self->watch_fd);
    }
    free(self);
}

static int fault_watch_fd(void *data)
{
    return ((struct fault *)data)->watch_fd;
}

QUIESCED_PLUGIN(.name = "fault", .version = "0", .summary = "Does what no plugin should.",
                .options = fault_options, .create = fault_create, .option = fault_option,
                .ready = fault_ready, .prepare = fault_prepare, .freeze = fault_freeze,
                .check = fault_check, .thaw = fault_thaw, .abort = fault_abort,
                .destroy = fault_destroy, .watch_fd = fault_watch_fd);
