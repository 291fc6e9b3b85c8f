/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker_bench.h: the daemon's side of one quiesced-worker with the fixture plugin
 *
 * What the plugin was called for is seen from its log, what it holds from a lock on a
 * file. Every wait ends with an event, or by a long deadline that fails the test.
 */
#ifndef QUIESCED_TESTS_WORKER_BENCH_H
#define QUIESCED_TESTS_WORKER_BENCH_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LONG_HOLD UINT64_C(60000000)
#define SHORT_HOLD UINT64_C(300000)

struct bench {
    char *dir;
    int fd; /* the daemon's end */
    pid_t pid;
    char calls[256]; /* "create ready prepare " */
    unsigned floods; /* lines of a flood that came through */
    int lock_fd;     /* the application's own descriptor of the lock file */
};

/* For cmocka: *@state is a struct bench. */
int bench_setup(void **state);
int bench_teardown(void **state);

/* Writes apps.d/main.conf, with @section besides what every test needs. */
void bench_configure(const struct bench *bench, const char *section);
void bench_start(struct bench *bench);
/* A worker that is told that @parent started it. */
void bench_start_as(struct bench *bench, pid_t parent);
/* In a child: becomes the worker, with @fd as its socket. */
void bench_exec(const struct bench *bench, int fd, pid_t parent);

void bench_send(const struct bench *bench, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void ask(const struct bench *bench, const char *what);
void ask_prepare(const struct bench *bench);
void ask_freeze(const struct bench *bench, uint64_t hold);

/* The next packet that is no log, or NULL at the end. */
json_object *bench_reply(struct bench *bench);
/* Reads logs until @call, with a blank behind it, has begun. */
void bench_wait_for_call(struct bench *bench, const char *call);

/* Is the lock held, so that the application could not write? */
bool application_waits(const struct bench *bench);
/* Was the plugin's abort() called? Seen without the socket. */
bool plugin_aborted(const struct bench *bench);

/* @expected NULL: there is no such member. */
void assert_member(json_object *object, const char *key, const char *expected);
void assert_reply(struct bench *bench, const char *name, const char *result, const char *error);
void assert_reply_has(struct bench *bench, const char *name, const char *in_error);
void assert_lost(struct bench *bench, const char *why);
void assert_end(struct bench *bench);
void assert_exits(struct bench *bench, int code);
void assert_killed(struct bench *bench);
void assert_prepared(struct bench *bench);
void assert_held(struct bench *bench, uint64_t hold);
/* Aborts, and sees the worker let go and exit. */
void assert_abort_ends(struct bench *bench);

#endif
