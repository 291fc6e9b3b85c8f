/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sync.h: sync(2) in a child, which may take for ever */
#ifndef QUIESCED_SYNC_H
#define QUIESCED_SYNC_H

#include <systemd/sd-event.h>

struct sync;

/* @done is called from the event loop when a sync has ended that was not abandoned. */
int sync_new(sd_event *event, void (*done)(void *data), void *data, struct sync **ret_sync);
struct sync *sync_free(struct sync *sync);

/* Starts one. 0, or -EBUSY while an abandoned one still lives, or another -errno. */
int sync_start(struct sync *sync);
void sync_abandon(struct sync *sync);

#endif
