/* SPDX-License-Identifier: GPL-2.0-or-later */
/* deadline.h: times of CLOCK_MONOTONIC in microseconds, as the worker gives them; for the
 * plugins of this tree, not installed */
#ifndef PLUGINS_DEADLINE_H
#define PLUGINS_DEADLINE_H

#include <stdint.h>
#include <time.h>

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)

static inline uint64_t deadline_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / 1000u;
}

/* @ms before @deadline */
static inline uint64_t deadline_before(uint64_t deadline, uint64_t ms)
{
    return deadline > ms * USEC_PER_MSEC ? deadline - ms * USEC_PER_MSEC : 0;
}

/* @ms from now, but not after @deadline */
static inline uint64_t deadline_within(uint64_t deadline, uint64_t ms)
{
    uint64_t at = deadline_now() + ms * USEC_PER_MSEC;

    return at < deadline ? at : deadline;
}

#endif
