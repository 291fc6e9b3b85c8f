/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * calls.h: joins the server's connections to the conductor
 *
 * Knows which connection owns the cycle, which waits for a verdict, and which wait
 * for the owner to end: the methods of io.quiesced, and their answers.
 */
#ifndef QUIESCED_CALLS_H
#define QUIESCED_CALLS_H

#include <systemd/sd-event.h>

#include "conductor.h"
#include "server.h"

struct calls;

/* Takes over the listening @fd; the rest stays the caller's, and alive. 0 or -errno. */
int calls_new(sd_event *event, int fd, enum server_peers peers,
              const struct conductor_options *options, struct journal *journal,
              struct calls **ret_calls);
struct calls *calls_free(struct calls *calls);

/* Ends all holds, and then the event loop: within a second. */
void calls_terminate(struct calls *calls);

#endif
