/* SPDX-License-Identifier: GPL-2.0-or-later */
/* queue.h: the connections whose Prepare waits for a cycle to end */
#ifndef QUIESCED_QUEUE_H
#define QUIESCED_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct connection;
struct queue;

struct queue_entry {
    struct connection *connection;
    uint64_t forward_deadline;
    uint64_t undo_deadline;
    bool rehearsal;
};

/* @late is called from the event loop for one that has waited until its forward
 * deadline, and is out of the queue then. 0 or -errno. */
int queue_new(sd_event *event, void (*late)(struct connection *connection),
              struct queue **ret_queue);
struct queue *queue_free(struct queue *queue);

/* False when the queue is full. */
bool queue_add(struct queue *queue, const struct queue_entry *entry);
/* The one that has waited longest. False when there is none. */
bool queue_take(struct queue *queue, struct queue_entry *ret_entry);
void queue_remove(struct queue *queue, const struct connection *connection);
bool queue_empty(const struct queue *queue);

#endif
