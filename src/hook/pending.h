/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pending.h: the scripts that are owed a thaw
 *
 * One file in the hook's own runtime directory, so that the next call thaws what a
 * hook that was killed has frozen, and notices what still runs. The lock beside it
 * keeps two hooks from mixing their scripts. The file grows by a line a change, since
 * to write all of it anew costs more than to start a script; reading it, the last line
 * of a script counts.
 */
#ifndef QUIESCED_HOOK_PENDING_H
#define QUIESCED_HOOK_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "scripts.h"

#define PENDING_MAX 256U

enum pending_verb {
    PENDING_FREEZE, /* it was started, or is about to be */
    PENDING_THAW,
};

struct pending_script {
    char *path;
    enum script_weight weight;
    enum pending_verb verb;
    pid_t pid;         /* 0: not known */
    uint64_t alive_at; /* ticks since the boot; a later one of that pid is another */
};

struct pending {
    char *directory; /* NULL: nothing is remembered */
    int lock;
    int file;                    /* for appending; -1: it is written anew first */
    size_t size;                 /* of the file */
    struct pending_script *list; /* in the order of the freeze */
    size_t n;
};

#define PENDING_NONE           \
    {                          \
        .lock = -1, .file = -1 \
    }

/* Is there anything to be remembered? Asks for no lock. */
bool pending_exists(const char *runtime_dir);

/*
 * Makes the directory, locks it, and reads the list. -errno with one line in
 * *ret_error (to be freed): -ETIMEDOUT, -EINTR when @wake_fd was readable, -EBADMSG
 * when the list makes no sense; then *ret_pending is an empty one that is locked.
 */
int pending_open(const char *runtime_dir, int wake_fd, uint64_t deadline,
                 struct pending *ret_pending, char **ret_error);
void pending_close(struct pending *pending);

/* Remembers the script @path, or what it does now: as @pid, not reaped yet. 0 or -errno. */
int pending_set(struct pending *pending, const char *path, enum script_weight weight,
                enum pending_verb verb, pid_t pid);
/* Forgets it. 0 or -errno. */
int pending_remove(struct pending *pending, const char *path);
/* NULL if it is not remembered. Valid until the next change. */
const struct pending_script *pending_lookup(const struct pending *pending, const char *path);
/* Does the process that was remembered still run? */
bool pending_running(const struct pending_script *script);

#endif
