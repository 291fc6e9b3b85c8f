/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * child.h: what may block is done by a child that nobody has to wait for
 *
 * A child keeps no descriptor of its parent's: neither the agent's pipe, which the
 * agent reads to its end, nor the connection, which owns a cycle while it is open.
 */
#ifndef QUIESCED_HOOK_CHILD_H
#define QUIESCED_HOOK_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Runs in the child. What went wrong, in one line (not freed), or NULL. */
typedef char *child_fn(void *data);

/*
 * Runs @work in a child until @deadline; then it is killed, and not waited for any
 * longer. 0, with *ret_text what it returned (to be freed) or NULL; -ETIMEDOUT, or
 * another -errno.
 */
int child_run(child_fn *work, void *data, uint64_t deadline, char **ret_text);

/*
 * Leaves the reading end @fd to a child that reads it to the end and forgets it, so
 * that whoever still writes there neither blocks nor gets a SIGPIPE. The caller's @fd
 * stays open. 0 or -errno.
 */
int child_drain(int fd);

/* A descriptor of @pid that is readable once it has ended, or -errno. */
int child_pidfd(int pid);

/*
 * The time, in ticks since the boot. To note it beside the pid of a child that was not
 * reaped yet tells it from a later process of that pid, and costs less than to read when
 * it started.
 */
uint64_t child_clock(void);

/* Does the process still run that was @pid at the time @alive_at? */
bool child_runs(pid_t pid, uint64_t alive_at);

#endif
