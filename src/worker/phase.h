/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * phase.h: the daemon's requests, carried out by the plugin
 *
 * Requests come one at a time, as packets on a socket:
 *
 *     {"do":"prepare","protocol":1,"plugin":"mysql","deadline":USEC}
 *     {"do":"freeze","deadline":USEC,"hold_deadline":USEC}
 *     {"do":"check","deadline":USEC}
 *     {"do":"thaw","deadline":USEC}
 *     {"do":"abort","deadline":USEC}
 *
 * and are answered by {"reply":"prepare","result":"ok"}, or by a result "failed" or
 * "not-running" and an "error". The replies to prepare and freeze carry "server" and
 * "method", that to freeze "coordinates" too. "abort" alone may come while another
 * request runs; that one is then not answered when the plugin gave it up. Unasked,
 * the worker says {"log":"info","message":"..."}, and {"lost":"why"} when it ended
 * the hold itself.
 */
#ifndef QUIESCED_WORKER_PHASE_H
#define QUIESCED_WORKER_PHASE_H

#include <json-c/json.h>
#include <stdint.h>

struct phases;

#define PHASES_NO_DEADLINE UINT64_MAX

/* The strings and @fd, the daemon's socket, stay the caller's, and alive. */
int phases_new(int fd, const char *app, const char *config_dir, const char *plugin_dir,
               struct phases **ret_phases);
/* Frees what phases_end() left. The plugin stays loaded. Returns NULL. */
struct phases *phases_free(struct phases *phases);

/*
 * Carries out and answers one request. 1 when it was the last one, 0 when another
 * one may come, -errno when the daemon cannot be understood or answered.
 */
int phases_request(struct phases *phases, json_object *request);

/* When the hold is ended though nothing was asked for, or PHASES_NO_DEADLINE. */
uint64_t phases_hold_deadline(const struct phases *phases);
/* Becomes readable or hangs up when the hold is lost; -1: there is none. */
int phases_watch_fd(const struct phases *phases);

/* The watched descriptor spoke: asks the plugin why, ends the hold, and says so. */
void phases_lost(struct phases *phases);
/* The hold deadline has passed: ends the hold, and says so. */
void phases_expired(struct phases *phases);
/* Lets go, from any state, and frees the plugin's instance. */
void phases_end(struct phases *phases);

#endif
