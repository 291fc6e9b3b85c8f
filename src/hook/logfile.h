/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * logfile.h: the hook's log file
 *
 * A line is kept in memory with the time at which it was said, until the file may
 * be written: before the commit of a freeze, after the verdict of a thaw.
 */
#ifndef QUIESCED_HOOK_LOGFILE_H
#define QUIESCED_HOOK_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOGFILE_MAX (1024U * 1024) /* bytes kept; what comes after is counted */

/* Zeroes are an empty one. */
struct logfile {
    char *text;
    size_t n;
    size_t allocated;
    uint64_t dropped; /* lines */
};

/* Adds one line; @verb is "freeze" or "thaw". */
void logfile_add(struct logfile *log, const char *verb, const char *text);

bool logfile_is_empty(const struct logfile *log);

/*
 * Appends what was kept to @path, whose directory is made if only it is missing.
 * May block for as long as the filesystem is frozen. 0 or -errno.
 */
int logfile_write(const struct logfile *log, const char *path);

/* Forgets what was kept. */
void logfile_clear(struct logfile *log);

#endif
