/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "queue.h"

#include "util.h"

#define ENTRIES_MAX 8U

struct queue {
    sd_event_source *timer;
    void (*late)(struct connection *connection);
    struct queue_entry entries[ENTRIES_MAX];
    size_t n;
};

static void set_timer(struct queue *queue)
{
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; i < queue->n; i++) {
        next = min_usec(next, queue->entries[i].forward_deadline);
    }
    (void)sd_event_source_set_time(queue->timer, next);
    (void)sd_event_source_set_enabled(queue->timer, SD_EVENT_ONESHOT);
}

static void take_out(struct queue *queue, size_t i)
{
    queue->n--;
    memmove(&queue->entries[i], &queue->entries[i + 1],
            (queue->n - i) * sizeof(queue->entries[0]));
    set_timer(queue);
}

static int on_time(sd_event_source *source, uint64_t usec, void *data)
{
    struct queue *queue = data;

    (void)source;
    (void)usec;
    for (size_t i = 0; i < queue->n;) {
        struct queue_entry entry = queue->entries[i];

        if (entry.forward_deadline > now_usec()) {
            i++;
            continue;
        }
        take_out(queue, i);
        queue->late(entry.connection);
    }
    set_timer(queue);
    return 0;
}

int queue_new(sd_event *event, void (*late)(struct connection *connection),
              struct queue **ret_queue)
{
    struct queue *queue = calloc(1, sizeof(*queue));
    int r;

    if (queue == NULL) {
        return -ENOMEM;
    }
    queue->late = late;
    r = sd_event_add_time(event, &queue->timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_time, queue);
    if (r < 0) {
        free(queue);
        return r;
    }
    *ret_queue = queue;
    return 0;
}

struct queue *queue_free(struct queue *queue)
{
    if (queue != NULL) {
        sd_event_source_disable_unref(queue->timer);
        free(queue);
    }
    return NULL;
}

bool queue_add(struct queue *queue, const struct queue_entry *entry)
{
    if (queue->n == ENTRIES_MAX) {
        return false;
    }
    queue->entries[queue->n++] = *entry;
    set_timer(queue);
    return true;
}

bool queue_take(struct queue *queue, struct queue_entry *ret_entry)
{
    if (queue->n == 0) {
        return false;
    }
    *ret_entry = queue->entries[0];
    take_out(queue, 0);
    return true;
}

void queue_remove(struct queue *queue, const struct connection *connection)
{
    for (size_t i = 0; i < queue->n; i++) {
        if (queue->entries[i].connection == connection) {
            take_out(queue, i);
            return;
        }
    }
}

bool queue_empty(const struct queue *queue)
{
    return queue->n == 0;
}
