/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fixture_plugin.c: the plugin that the worker's tests load
 *
 * It holds a lock on a file, says by the log which callback runs, and does in prepare,
 * freeze, check and thaw what the key of that name says. Compiled with FIXTURE_... it
 * is one of the plugins that the loader must refuse, or that is older or newer.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "quiesced-plugin.h"

#ifndef FIXTURE_NAME
#define FIXTURE_NAME "fixture"
#endif
#ifndef FIXTURE_ABI
#define FIXTURE_ABI QUIESCED_ABI
#endif
#ifndef FIXTURE_SIZE
#define FIXTURE_SIZE sizeof(struct quiesced_plugin)
#endif
#ifndef FIXTURE_THAW
#define FIXTURE_THAW fixture_thaw
#endif

struct fixture {
    const struct quiesced_host *host;
    char *values[16];
    int lock_fd;
    int watch_fd;
};

static const struct quiesced_option fixture_options[] = {
    { .key = "lock", .flags = QUIESCED_OPTION_REQUIRED },
    { .key = "watch" },   /* a FIFO */
    { .key = "aborted" }, /* a file that abort() creates */
    { .key = "password", .flags = QUIESCED_OPTION_SECRET },
    { .key = "mood", .initial = "calm" },
    { .key = "ready" },
    { .key = "prepare" },
    { .key = "freeze" },
    { .key = "check" },
    { .key = "thaw" },
    { .key = NULL },
};

static const char *value_of(const struct fixture *self, const char *key)
{
    for (size_t i = 0; fixture_options[i].key != NULL; i++) {
        if (strcmp(fixture_options[i].key, key) == 0) {
            return self->values[i] != NULL ? self->values[i] : "";
        }
    }
    return "";
}

static int fixture_create(const struct quiesced_host *host, void **ret_self)
{
    struct fixture *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        return -ENOMEM;
    }
    self->host = host;
    self->lock_fd = -1;
    self->watch_fd = -1;
    host->log(host, QUIESCED_DEBUG, "call create");
    *ret_self = self;
    return 0;
}

static int fixture_option(void *data, const char *key, const char *value)
{
    struct fixture *self = data;

    for (size_t i = 0; fixture_options[i].key != NULL; i++) {
        if (strcmp(fixture_options[i].key, key) == 0) {
            self->values[i] = strdup(value);
        }
    }
    if (strcmp(key, "mood") == 0) {
        self->host->log(self->host, QUIESCED_INFO, "mood %s", value);
        if (strcmp(value, "bad") == 0) {
            self->host->error(self->host, "cannot work in a mood like '%s'", value);
            return -EINVAL;
        }
    }
    return 0;
}

static int wait_for(const struct fixture *self, int timeout)
{
    struct pollfd cancel = { .fd = self->host->cancel_fd(self->host), .events = POLLIN };

    return poll(&cancel, 1, timeout) > 0 ? -ECANCELED : 0;
}

static int behave(const struct fixture *self, const char *phase)
{
    const struct quiesced_host *host = self->host;
    const char *how = value_of(self, phase);

    host->log(host, QUIESCED_DEBUG, "call %s", phase);
    if (strcmp(how, "fail") == 0) {
        host->error(host, "cannot %s 'it': as\ntold", phase);
        return -EIO;
    }
    if (strcmp(how, "silent") == 0) {
        return -EIO;
    }
    if (strcmp(how, "positive") == 0) {
        return 7;
    }
    if (strcmp(how, "canceled") == 0) {
        return -ECANCELED;
    }
    if (strcmp(how, "wait") == 0) {
        return wait_for(self, -1);
    }
    if (strcmp(how, "flood") == 0) {
        for (int i = 0; i < 10000; i++) {
            host->log(host, QUIESCED_INFO, "flood %d", i);
        }
    }
    while (strcmp(how, "block") == 0) {
        (void)pause();
    }
    return 0;
}

static int fixture_ready(void *data)
{
    return behave(data, "ready");
}

static int fixture_prepare(void *data, uint64_t deadline)
{
    struct fixture *self = data;
    const struct quiesced_host *host = self->host;
    int r = behave(self, "prepare");

    (void)deadline;
    if (strcmp(value_of(self, "prepare"), "not-running") == 0) {
        host->error(host, "no socket 'x'");
        return QUIESCED_NOT_RUNNING;
    }
    if (r == 0) {
        host->server(host, "Fixture 1.0");
        self->lock_fd = open(value_of(self, "lock"), O_RDONLY | O_CLOEXEC);
    }
    if (r == 0 && value_of(self, "watch")[0] != '\0') {
        self->watch_fd = open(value_of(self, "watch"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    }
    return r;
}

static int fixture_freeze(void *data, uint64_t deadline, uint64_t hold_deadline)
{
    struct fixture *self = data;
    const struct quiesced_host *host = self->host;
    int r = behave(self, "freeze");

    if (r != 0) {
        return r;
    }
    if (deadline > hold_deadline || host->left_ms(host, deadline) == 0) {
        host->error(host, "cannot freeze: the deadlines make no sense");
        return -ETIMEDOUT;
    }
    host->method(host, "flock");
    host->coordinate(host, "position", "41");
    host->coordinate(host, "position", "42");
    host->coordinate(host, "Not A Key", "1");
    return flock(self->lock_fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

static int fixture_check(void *data, uint64_t deadline)
{
    (void)deadline;
    return behave(data, "check");
}

__attribute__((unused)) static int fixture_thaw(void *data, uint64_t deadline)
{
    struct fixture *self = data;
    int r = behave(self, "thaw");

    (void)deadline;
    if (r != -ECANCELED) {
        (void)flock(self->lock_fd, LOCK_UN);
    }
    return r;
}

static void fixture_abort(void *data)
{
    struct fixture *self = data;

    self->host->log(self->host, QUIESCED_DEBUG, "call abort");
    if (self->lock_fd >= 0) {
        (void)close(self->lock_fd);
        self->lock_fd = -1;
    }
    if (value_of(self, "aborted")[0] != '\0') {
        int fd = open(value_of(self, "aborted"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        if (fd >= 0) {
            (void)close(fd);
        }
    }
}

static void fixture_destroy(void *data)
{
    struct fixture *self = data;

    self->host->log(self->host, QUIESCED_DEBUG, "call destroy");
    for (size_t i = 0; i < sizeof(self->values) / sizeof(self->values[0]); i++) {
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

static int fixture_watch_fd(void *data)
{
    return ((struct fixture *)data)->watch_fd;
}

/* What a later release may have appended; and by the macro, how this one looks. */
struct fixture_newer {
    struct quiesced_plugin known;
    void *unknown[4];
};

#ifdef FIXTURE_WITHOUT_SYMBOL
#define FIXTURE_SYMBOL "another_symbol"
#else
#define FIXTURE_SYMBOL "quiesced_plugin"
#endif
QUIESCED_EXPORT extern const struct fixture_newer fixture_plugin __asm__(FIXTURE_SYMBOL);
const struct fixture_newer fixture_plugin = {
    .known = {
        .size = (uint32_t)(FIXTURE_SIZE),
        .abi = FIXTURE_ABI,
        .name = FIXTURE_NAME,
        .version = "1.2",
        .summary = "For the tests.",
        .options = fixture_options,
        .create = fixture_create,
        .option = fixture_option,
        .ready = fixture_ready,
        .prepare = fixture_prepare,
        .freeze = fixture_freeze,
        .check = fixture_check,
        .thaw = FIXTURE_THAW,
        .abort = fixture_abort,
        .destroy = fixture_destroy,
        .watch_fd = fixture_watch_fd,
    },
    .unknown = { "never read" },
};
