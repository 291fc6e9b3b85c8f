/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "logfile.h"
#include "util.h"

#define LOGFILE_STAMP_MAX 96

/* "2025-01-31T12:00:00.123456+0100 fsfreeze-hook[17] freeze: " */
static size_t logfile_stamp(const char *verb, char stamp[static LOGFILE_STAMP_MAX])
{
    uint64_t now = wall_usec();
    time_t seconds = (time_t)(now / USEC_PER_SEC);
    char day[32];
    char zone[8];
    struct tm tm;
    int n;

    if (localtime_r(&seconds, &tm) == NULL ||
        strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) == 0 ||
        strftime(zone, sizeof(zone), "%z", &tm) == 0) {
        (void)snprintf(day, sizeof(day), "%" PRIu64, now / USEC_PER_SEC);
        zone[0] = '\0';
    }
    n = snprintf(stamp, LOGFILE_STAMP_MAX, "%s.%06u%s fsfreeze-hook[%ld] %s: ", day,
                 (unsigned)(now % USEC_PER_SEC), zone, (long)getpid(), verb);
    if (n < 0) {
        return 0;
    }
    return n < LOGFILE_STAMP_MAX ? (size_t)n : LOGFILE_STAMP_MAX - 1;
}

static bool logfile_reserve(struct logfile *log, size_t n)
{
    size_t allocated = log->allocated > 0 ? log->allocated : 4096;
    char *text;

    if (n > LOGFILE_MAX - log->n) {
        return false;
    }
    while (allocated - log->n < n || allocated < log->n) {
        allocated *= 2;
    }
    if (allocated == log->allocated) {
        return true;
    }
    text = realloc(log->text, allocated);
    if (text == NULL) {
        return false;
    }
    log->text = text;
    log->allocated = allocated;
    return true;
}

void logfile_add(struct logfile *log, const char *verb, const char *text)
{
    char stamp[LOGFILE_STAMP_MAX];
    size_t n_stamp = logfile_stamp(verb, stamp);
    size_t n_text = strlen(text);

    if (!logfile_reserve(log, n_stamp + n_text + 1)) {
        log->dropped++;
        return;
    }
    memcpy(log->text + log->n, stamp, n_stamp);
    memcpy(log->text + log->n + n_stamp, text, n_text);
    log->n += n_stamp + n_text;
    log->text[log->n++] = '\n';
}

/* O_NONBLOCK: somebody may have put a FIFO there. */
static int logfile_open(const char *path)
{
    const int flags =
        O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
    const char *slash = strrchr(path, '/');
    CLEANUP_FREE char *directory = NULL;
    int fd = open(path, flags, 0640);

    if (fd >= 0 || errno != ENOENT || slash == NULL || slash == path) {
        return fd >= 0 ? fd : -errno;
    }
    directory = strndup(path, (size_t)(slash - path));
    if (directory == NULL) {
        return -ENOMEM;
    }
    if (mkdir(directory, 0750) < 0) {
        return -errno;
    }
    fd = open(path, flags, 0640);
    return fd >= 0 ? fd : -errno;
}

static int logfile_put(int fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t written = write(fd, text, n);

        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return -errno;
        }
        text += written;
        n -= (size_t)written;
    }
    return 0;
}

bool logfile_is_empty(const struct logfile *log)
{
    return log->n == 0 && log->dropped == 0;
}

int logfile_write(const struct logfile *log, const char *path)
{
    CLEANUP_CLOSE int fd = -1;
    char more[64];
    int r;

    if (logfile_is_empty(log)) {
        return 0;
    }
    fd = logfile_open(path);
    if (fd < 0) {
        return fd;
    }
    r = logfile_put(fd, log->text, log->n);
    if (r < 0 || log->dropped == 0) {
        return r;
    }
    (void)snprintf(more, sizeof(more), "(%" PRIu64 " lines more were dropped)\n", log->dropped);
    return logfile_put(fd, more, strlen(more));
}

void logfile_clear(struct logfile *log)
{
    free(log->text);
    *log = (struct logfile){ 0 };
}
