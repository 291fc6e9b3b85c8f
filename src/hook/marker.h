/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * marker.h: the daemon's file that says that a cycle holds
 *
 * That it is there decides whether the daemon is asked. What it says only goes into
 * messages, for when the daemon has forgotten it: it is another user's file.
 */
#ifndef QUIESCED_HOOK_MARKER_H
#define QUIESCED_HOOK_MARKER_H

#include <stdbool.h>

#define MARKER_FILE "marker"
#define MARKER_SIZE_MAX (64U * 1024)

struct marker {
    char *path;
    char *cycle; /* or NULL */
    char *apps;  /* "'main', 'other'", or NULL */
};

/* True when a cycle holds, or when nobody can say that none does. */
bool marker_exists(const char *runtime_dir);

/* Reads what it says, as far as it makes sense. 0 or -ENOMEM. */
int marker_read(const char *runtime_dir, struct marker *ret_marker);
void marker_free(struct marker *marker);

/* The verdict was delivered. One that is another cycle's by now stays. */
void marker_remove(const struct marker *marker);

#endif
