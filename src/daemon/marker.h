/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * marker.h: the file in the runtime directory that says that a cycle holds
 *
 * It outlives the daemon, not the machine's boot. fsfreeze-hook looks whether it is
 * there; what stands in it is for the daemon that finds it.
 */
#ifndef QUIESCED_MARKER_H
#define QUIESCED_MARKER_H

#include <stddef.h>

#define MARKER_NAME "marker"

/* Writes it anew, at once or not at all. @reason (may be NULL): why the holds were
 * ended early. 0 or -errno. */
int marker_write(const char *runtime_dir, const char *cycle, const char *const *apps,
                 size_t n_apps, const char *reason);
void marker_remove(const char *runtime_dir);

/* The one that is there. 1 with *ret_cycle and *ret_reason (to be freed; NULL when it
 * names none), 0 when there is none of this boot, or -errno: it is there, and cannot
 * be read. */
int marker_read(const char *runtime_dir, char **ret_cycle, char **ret_reason);

#endif
