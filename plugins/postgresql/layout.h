/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * layout.h: is the cluster on one filesystem?
 *
 * The copy is good if it has all the server's files at one instant. Where they are on
 * several filesystems, that is the host's affair: so it is told, as a warning. What we may
 * not see is told at a lower level.
 */
#ifndef POSTGRESQL_LAYOUT_H
#define POSTGRESQL_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "client.h"
#include "quiesced-plugin.h"
#include "server.h"

/* 0, or as client_query() when the session is of no use any more. */
int layout_warn(struct client *client, const struct quiesced_host *host,
                const struct server *server, uint64_t deadline);

/* Does a line of mountinfo say that something is mounted on @path? */
bool layout_line_mounts(const char *line, const char *path);

#endif
