/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sequence.h: scripts in order: freeze forwards, thaw backwards */
#ifndef QUIESCED_HOOK_SEQUENCE_H
#define QUIESCED_HOOK_SEQUENCE_H

#include "call.h"
#include "pending.h"
#include "scripts.h"

/*
 * Runs @scripts with "freeze" until @deadline, or until a strict one fails, or the
 * hook is told to end. A script that fails or is late is killed with its process
 * group. Says what went wrong. 0 or -errno; *ret_n (set in both cases) scripts from
 * the first on were started, or passed over.
 */
int sequence_freeze(struct call *call, const struct scripts *scripts, struct pending *pending,
                    uint64_t deadline, size_t *ret_n);

/*
 * Runs the first @n of @scripts with "thaw", from the last to the first. One that
 * fails does not stop the others. Each waits for the one before it, until three
 * quarters of the time are over; then what is left is started at once. One that
 * still runs at @deadline is named, and left alone and remembered. Says what went
 * wrong; a late one and a strict one that fails are failures of the call.
 */
void sequence_thaw(struct call *call, const struct scripts *scripts, size_t n,
                   struct pending *pending, uint64_t deadline);

/*
 * Thaws what an earlier call has left frozen. 0, or -EBUSY when a thaw script from
 * then still runs, after saying which one.
 */
int sequence_thaw_pending(struct call *call, struct pending *pending, uint64_t deadline);

/* Adds to @scripts those that are owed a thaw and are not among them. 0 or -ENOMEM. */
int sequence_add_pending(struct call *call, const struct pending *pending, struct scripts *scripts);

/* Forgets what a thaw could not help: gone, or refused; but not what still runs. */
void sequence_forget(struct call *call, struct pending *pending);

#endif
