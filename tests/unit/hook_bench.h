/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hook_bench.h: runs fsfreeze-hook in directories of its own, as the agent does */
#ifndef QUIESCED_TESTS_HOOK_BENCH_H
#define QUIESCED_TESTS_HOOK_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What the program printed, and how it ended: >= 0 its status, < 0 the signal. */
struct hook_outcome {
    char text[8192];
    int status;
    uint64_t usec;
};

/* Finds the program. False when nobody says where it was built. */
bool hook_find(void);

/* A directory that the environment names, with conf, run, state, own and legacy. */
int hook_setup(void **state);
int hook_teardown(void **state);

/* As the agent does since 9.1: one pipe for both, read to its end, then the wait. */
pid_t hook_start(const char *verb, int *ret_fd);
void hook_finish(pid_t pid, int fd, struct hook_outcome *ret_outcome);
void hook_run(const char *verb, struct hook_outcome *ret_outcome);

/* Runs it: the exit status, and what it says somewhere; "" is nothing at all. */
void hook_assert(const char *verb, int status, const char *text);

/* A script that notes "NAME VERB" in the trace and then does @rest. */
void hook_script(const char *dir, const char *name, const char *rest);
/* The trace is this, and begins anew. */
void hook_assert_trace(const char *dir, const char *expected);
/* Waits until it is. */
void hook_wait_trace(const char *dir, const char *expected);

/* A member of the record, as plain JSON. */
void hook_assert_record(const char *dir, const char *key, const char *expected);
/* A file, to be freed; "" when it is not there. */
char *hook_read(const char *dir, const char *name);
void hook_settings(const char *dir, const char *text);

#endif
