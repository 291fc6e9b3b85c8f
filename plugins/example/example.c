/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * example: the plugin to copy
 *
 * It quiesces a program that does each of its writes under an exclusive flock(2) on
 * some file, as a shell script does by `flock /var/lib/import/lock ./import`. The
 * hold is that same lock: while the plugin has it, the program waits.
 *
 * To make a plugin of your own:
 *
 *  1. Copy this directory and change the name, here and in the files. The name is the
 *     file name without ".so", and the section in the app's file.
 *  2. Replace lock_try() by what makes your application stop writing. Look for what
 *     ends by itself when the process dies: a lock on a descriptor, a session with a
 *     server. A file "maintenance.flag" that somebody has to remove again is no hold.
 *  3. Build it: cc -shared -fPIC -fvisibility=hidden -Wl,-z,defs -o NAME.so NAME.c
 *     It needs quiesced-plugin.h and nothing else of quiesced.
 *  4. Install it as root into the plugin directory, and write an app's file: see
 *     example.conf.
 *
 * quiesced-plugin.h says what each callback promises. What is said here is how.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quiesced-plugin.h"

#define RETRY_MS 20

/* All that the plugin knows. There are no globals: a unit test makes several. */
struct example {
    const struct quiesced_host *host;
    char *path;
    int fd;           /* -1, or the file; closing it lets go of the lock */
    struct stat file; /* what @path was when it was opened */
};

/*
 * create: make the instance, and touch nothing outside of it. Everything that
 * destroy() and abort() look at has a value from here on.
 */
static int example_create(const struct quiesced_host *host, void **ret_self)
{
    struct example *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        return -ENOMEM;
    }
    self->host = host;
    self->fd = -1;
    *ret_self = self;
    return 0;
}

/*
 * The keys of the section [example]. The worker reads the file, refuses what is not
 * in this table, and says so when a required key is missing.
 */
static const struct quiesced_option example_options[] = {
    {
        .key = "path",
        .help = "The file that the application locks while it writes.",
        .flags = QUIESCED_OPTION_REQUIRED,
    },
    { .key = NULL },
};

/* option: keep one value, and refuse what can never be right. */
static int example_option(void *data, const char *key, const char *value)
{
    struct example *self = data;
    char *path;

    if (strcmp(key, "path") != 0) {
        return -EINVAL; /* not in the table: does not happen */
    }
    if (value[0] != '/') {
        self->host->error(self->host, "'path' must be absolute, not '%s'", value);
        return -EINVAL;
    }
    path = strdup(value);
    if (path == NULL) {
        return -ENOMEM;
    }
    free(self->path);
    self->path = path;
    return 0;
}

/*
 * prepare: what may take its time and stops nobody. Here, the file is opened. This
 * is the last moment to open anything: after freeze() file systems may be frozen.
 */
static int example_prepare(void *data, uint64_t deadline)
{
    struct example *self = data;
    const struct quiesced_host *host = self->host;

    (void)deadline; /* open() of a local file does not wait; a connect() would obey it */

    /* O_NONBLOCK because a FIFO of that name would wait for a writer */
    self->fd = open(self->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (self->fd < 0) {
        int r = -errno; /* at once: the next call may change it */

        host->error(host, "cannot open '%s': %s", self->path, strerror(-r));
        /* the administrator has said what an absent application means */
        return r == -ENOENT ? QUIESCED_NOT_RUNNING : r;
    }
    if (fstat(self->fd, &self->file) < 0) {
        int r = -errno;

        host->error(host, "cannot look at '%s': %s", self->path, strerror(-r));
        return r;
    }
    if (!S_ISREG(self->file.st_mode)) {
        host->error(host, "cannot use '%s': it is not a regular file", self->path);
        return -EINVAL;
    }
    host->method(host, "flock");
    return 0;
}

/* 0, -EAGAIN when somebody else has the lock, or another -errno */
static int lock_try(const struct example *self)
{
    return flock(self->fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

/*
 * The hold is worth something only on the file that the application locks. When
 * another file took its name the application locks that one. 0 or -errno.
 */
static int file_check(const struct example *self)
{
    struct stat now;

    if (stat(self->path, &now) < 0) {
        return -errno;
    }
    if (now.st_dev != self->file.st_dev || now.st_ino != self->file.st_ino) {
        return -ESTALE;
    }
    return 0;
}

static int file_check_error(const struct example *self, int r)
{
    const struct quiesced_host *host = self->host;

    if (r == -ESTALE) {
        host->error(host, "'%s' was replaced by another file: the lock holds nobody", self->path);
    } else if (r < 0) {
        host->error(host, "cannot look at '%s': %s", self->path, strerror(-r));
    }
    return r;
}

/*
 * Waits a moment for the lock. flock() itself would wait without an end, so it is
 * tried again and again; what waits on a descriptor would poll it here, beside
 * cancel_fd(). 0, -ECANCELED when nobody wants the lock any more, or -ETIMEDOUT.
 */
static int lock_wait(const struct example *self, uint64_t deadline)
{
    const struct quiesced_host *host = self->host;
    struct pollfd cancel = { .fd = host->cancel_fd(host), .events = POLLIN };
    uint32_t left = host->left_ms(host, deadline);

    if (left == 0) {
        return -ETIMEDOUT;
    }
    if (poll(&cancel, 1, left < RETRY_MS ? (int)left : RETRY_MS) > 0) {
        return -ECANCELED;
    }
    return 0;
}

/*
 * freeze: take the hold, by @deadline. When this returns 0 the application holds
 * still. A failure leaves nothing held: here nothing needs to be undone.
 *
 * The worker ends the hold at @hold_deadline. A plugin that talks to a server also
 * tells it about that time, for a server may not notice that its client has died.
 */
static int example_freeze(void *data, uint64_t deadline, uint64_t hold_deadline)
{
    struct example *self = data;
    const struct quiesced_host *host = self->host;
    char number[32];
    int r;

    (void)hold_deadline; /* the lock ends with the descriptor, so with the worker */

    while ((r = lock_try(self)) == -EAGAIN) {
        r = lock_wait(self, deadline);
        if (r == -ECANCELED) {
            return r; /* no failure, so no error() */
        }
        if (r < 0) {
            host->error(host, "cannot lock '%s': somebody else has the lock", self->path);
            return r;
        }
    }
    if (r < 0) {
        host->error(host, "cannot lock '%s': %s", self->path, strerror(-r));
        return r;
    }
    r = file_check(self); /* the file may have been replaced since prepare() */
    if (r < 0) {
        (void)flock(self->fd, LOCK_UN);
        return file_check_error(self, r);
    }

    /* Where the application stands, for the record: a database says its log position. */
    (void)snprintf(number, sizeof(number), "%ju", (uintmax_t)self->file.st_ino);
    host->coordinate(host, "inode", number);
    return 0;
}

/* check: does it still hold? Called when all apps of the machine hold. */
static int example_check(void *data, uint64_t deadline)
{
    const struct example *self = data;

    (void)deadline;
    return file_check_error(self, file_check(self));
}

/*
 * thaw: first the proof, while the lock is still held; then let go, whatever the
 * proof says; then talk. In this order the application waits no longer than it must.
 */
static int example_thaw(void *data, uint64_t deadline)
{
    struct example *self = data;
    int r;

    (void)deadline;
    r = file_check(self);
    (void)flock(self->fd, LOCK_UN);
    return file_check_error(self, r);
}

/* abort: let go of whatever there is, in whatever state. Called once, at any time. */
static void example_abort(void *data)
{
    struct example *self = data;

    if (self->fd >= 0) {
        (void)close(self->fd);
        self->fd = -1;
    }
}

/* destroy: free everything, on a clean exit. A killed worker never comes here. */
static void example_destroy(void *data)
{
    struct example *self = data;

    if (self->fd >= 0) {
        (void)close(self->fd);
    }
    free(self->path);
    free(self);
}

/*
 * The one thing that is exported. Two callbacks are left out: ready(), for options
 * that must fit together, and watch_fd(), for a hold that others can end: a plugin
 * with a session returns its socket, which becomes readable when the server closes it.
 */
QUIESCED_PLUGIN(.name = "example", .version = "1",
                .summary = "Holds a program that writes under a lock on a file.",
                .options = example_options, .create = example_create, .option = example_option,
                .prepare = example_prepare, .freeze = example_freeze, .check = example_check,
                .thaw = example_thaw, .abort = example_abort, .destroy = example_destroy, );
