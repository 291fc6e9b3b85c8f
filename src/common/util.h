/* SPDX-License-Identifier: GPL-2.0-or-later */
/* util.h: ownership by scope, and the one clock */
#ifndef QUIESCED_UTIL_H
#define QUIESCED_UTIL_H

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)
#define NSEC_PER_USEC UINT64_C(1000)

/* What each level keeps of its own deadline, so that the one below is late
 * first and the reason for the lateness survives. */
#define DEADLINE_MARGIN (200 * USEC_PER_MSEC)

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* free() and close() at the end of the scope; a negative fd is none */
#define CLEANUP_FREE __attribute__((cleanup(util_cleanup_free)))
#define CLEANUP_CLOSE __attribute__((cleanup(util_cleanup_close)))

static inline void util_cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

static inline void util_cleanup_close(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;

        (void)close(*fd);
        errno = saved;
    }
}

/* Closes @fd if it is one; for `fd = util_close(fd)`. Keeps errno. */
static inline int util_close(int fd)
{
    util_cleanup_close(&fd);
    return -1;
}

/*
 * Puts the formatted line into *@ret_error (to be freed; NULL without memory), if
 * there is a @ret_error, and returns @r: for `return util_fail(…)`.
 */
__attribute__((format(printf, 3, 4))) static inline int util_fail(char **ret_error, int r,
                                                                  const char *format, ...)
{
    va_list arguments;
    char *text = NULL;

    if (ret_error == NULL) {
        return r;
    }
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) {
        text = NULL;
    }
    va_end(arguments);
    *ret_error = text;
    return r;
}

/* Microseconds of CLOCK_MONOTONIC, the clock of every deadline here. */
static inline uint64_t now_usec(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / NSEC_PER_USEC;
}

/* Microseconds since the epoch: for people and for the record, for no deadline. */
static inline uint64_t wall_usec(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / NSEC_PER_USEC;
}

/* A deadline as the time-out of poll(2): rounded up, 0 when it has passed. */
static inline int deadline_ms(uint64_t deadline)
{
    uint64_t now = now_usec();
    uint64_t ms;

    if (deadline <= now) {
        return 0;
    }
    ms = (deadline - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

static inline uint64_t min_usec(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_usec(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* @a - @b, 0 instead of a time before the clock began */
static inline uint64_t sub_usec(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

#endif
