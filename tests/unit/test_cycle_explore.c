/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every event in every state that two apps can reach, with the promises checked at each
 * step. What an outsider would remember of the way (struct witness) is kept beside the
 * cycle, so that the machine is not judged by its own word.
 */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cycle.h"
#include "names.h"

#define N_APPS 2U
#define SECOND UINT64_C(1000000)
#define NOW (100 * SECOND)
#define SILENCE_STEPS 24        /* deadlines until everything has ended, with room */

enum call {
    CALL_NONE,
    CALL_PREPARE,
    CALL_FREEZE,
    CALL_COMMIT,
};

struct witness {
    bool connected;             /* the owner */
    enum call call;             /* of the owner, not answered */
    bool thaw_call;
    bool marker;
    bool asked[N_APPS];         /* for its hold */
    bool holds[N_APPS];         /* has said that it holds, and was told nothing since */
    bool checked[N_APPS];       /* after the last one took its hold */
    bool broken[N_APPS];        /* the hold ended otherwise than by a thaw */
    bool skipped[N_APPS];
    bool committed;
};

struct node {
    struct cycle cycle;
    struct witness witness;
};

/* A node as it is compared: times count from now, and what is past is past. */
struct key {
    unsigned char bytes[192];
};

struct explorer {
    struct key *keys;           /* open addressing; the first byte is never 0 */
    size_t n_slots;
    struct node *queue;
    size_t n_queue;
    size_t head;
    size_t n_transitions;
    struct cycle_plan plan;
};

static uint64_t relative(uint64_t deadline)
{
    if (deadline == 0 || deadline == UINT64_MAX) {
        return deadline;
    }
    return deadline > NOW ? deadline - NOW + 1 : 1;
}

static void put(struct key *key, size_t *n, const void *data, size_t size)
{
    assert_true(*n + size <= sizeof(key->bytes));
    memcpy(key->bytes + *n, data, size);
    *n += size;
}

static void put_time(struct key *key, size_t *n, uint64_t deadline)
{
    uint32_t ms = (uint32_t)(relative(deadline) / 1000 + (relative(deadline) != 0));

    put(key, n, &ms, sizeof(ms));
}

static void make_key(const struct node *node, struct key *ret_key)
{
    const struct cycle *cycle = &node->cycle;
    const unsigned char flags[] = {
        1, (unsigned char)cycle->state, (unsigned char)cycle->cause, cycle->owner,
        cycle->owner_waits, cycle->thawer, (unsigned char)cycle->plan.n_apps};
    size_t n = 0;

    memset(ret_key, 0, sizeof(*ret_key));
    put(ret_key, &n, flags, sizeof(flags));
    for (unsigned i = 0; i < N_APPS; i++) {
        const unsigned char app[] = {(unsigned char)cycle->apps[i].state,
                                     (unsigned char)cycle->apps[i].outcome};

        put(ret_key, &n, app, sizeof(app));
        put_time(ret_key, &n, cycle->apps[i].deadline);
    }
    put_time(ret_key, &n, cycle->sync_deadline);
    put_time(ret_key, &n, cycle->optional_deadline);
    put_time(ret_key, &n, cycle->hold_deadline);
    put_time(ret_key, &n, cycle->retry_at);
    put_time(ret_key, &n, cycle->plan.forward_deadline);
    put_time(ret_key, &n, cycle->plan.undo_deadline);
    put(ret_key, &n, &node->witness, sizeof(node->witness));
}

/* Moves the node's time back, so that its now is NOW again. */
static void rebase(struct cycle *cycle, uint64_t now)
{
    uint64_t by = now - NOW;
    uint64_t *times[] = {&cycle->sync_deadline,         &cycle->optional_deadline,
                         &cycle->hold_deadline,         &cycle->retry_at,
                         &cycle->plan.forward_deadline, &cycle->plan.undo_deadline,
                         &cycle->apps[0].deadline,      &cycle->apps[1].deadline};

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        if (*times[i] != 0) {
            *times[i] = *times[i] > by ? *times[i] - by : 1;
        }
    }
}

static void add(struct explorer *explorer, const struct node *node)
{
    struct key key;
    uint64_t hash = 14695981039346656037U;
    size_t slot;

    make_key(node, &key);
    for (size_t i = 0; i < sizeof(key.bytes); i++) {
        hash = (hash ^ key.bytes[i]) * 1099511628211U;
    }
    for (slot = hash % explorer->n_slots; explorer->keys[slot].bytes[0] != 0;
         slot = (slot + 1) % explorer->n_slots) {
        if (memcmp(&explorer->keys[slot], &key, sizeof(key)) == 0) {
            return;
        }
    }
    assert_true(explorer->n_queue < explorer->n_slots / 2);
    explorer->keys[slot] = key;
    explorer->queue[explorer->n_queue++] = *node;
}

/* I1: what Commit promises. */
static void check_commit(const struct explorer *explorer, const struct witness *witness)
{
    for (unsigned i = 0; i < N_APPS; i++) {
        if ((explorer->plan.required >> i & 1) != 0 && !witness->skipped[i]) {
            assert_true(witness->holds[i]);
            assert_true(witness->checked[i]);
        }
    }
    assert_true(witness->marker);
}

/* I2: what a verdict says. */
static void check_verdict(const struct explorer *explorer, const struct node *node)
{
    bool consistent = node->witness.committed;

    for (unsigned i = 0; i < N_APPS; i++) {
        if ((explorer->plan.required >> i & 1) != 0 && !node->witness.skipped[i] &&
            node->witness.broken[i]) {
            consistent = false;
        }
    }
    if (cycle_consistent(&node->cycle) != consistent) {
        fail_msg("the verdict is %d: cause %d, outcomes %d and %d, committed %d, broken %d and %d",
                 cycle_consistent(&node->cycle), (int)node->cycle.cause,
                 (int)node->cycle.apps[0].outcome, (int)node->cycle.apps[1].outcome,
                 node->witness.committed, node->witness.broken[0], node->witness.broken[1]);
    }
}

static void answer_owner(struct witness *witness, enum call call)
{
    assert_true(witness->connected);
    assert_true(call == CALL_NONE ? witness->call != CALL_NONE : witness->call == call);
    witness->call = CALL_NONE;
}

static void nothing_held(const struct witness *witness)
{
    for (unsigned i = 0; i < N_APPS; i++) {
        assert_false(witness->holds[i]);
    }
}

static void watch_action(const struct explorer *explorer, struct node *node,
                         const struct cycle_action *action, bool thaw_called)
{
    struct witness *witness = &node->witness;

    switch (action->type) {
    case CYCLE_ACTION_FREEZE_APP:
        assert_true(witness->marker != explorer->plan.rehearsal);
        witness->asked[action->app] = true;
        return;
    case CYCLE_ACTION_THAW_APP:
        assert_true(witness->committed);
        return;
    case CYCLE_ACTION_ABORT_APP:
    case CYCLE_ACTION_KILL_APP:
        if (witness->holds[action->app]) {
            witness->broken[action->app] = true;
        }
        return;
    case CYCLE_ACTION_GIVE_UP_APP:
    case CYCLE_ACTION_DISMISS_APP:
        witness->holds[action->app] = false;
        return;
    case CYCLE_ACTION_MARK:
        witness->marker = true;
        return;
    case CYCLE_ACTION_HOLDS_ENDED:
        assert_true(witness->marker);
        return;
    case CYCLE_ACTION_UNMARK:
        nothing_held(witness);
        witness->marker = false;
        return;
    case CYCLE_ACTION_END:
        nothing_held(witness);
        assert_false(witness->marker);
        assert_int_equal(witness->call, CALL_NONE);
        assert_false(witness->thaw_call);
        /* the connection may begin anew, or end */
        *witness = (struct witness){.connected = false};
        return;
    case CYCLE_ACTION_ANSWER_PREPARED:
        answer_owner(witness, CALL_PREPARE);
        return;
    case CYCLE_ACTION_ANSWER_FROZEN:
        answer_owner(witness, CALL_FREEZE);
        return;
    case CYCLE_ACTION_ANSWER_COMMITTED:
        answer_owner(witness, CALL_COMMIT);
        assert_false(explorer->plan.rehearsal);
        check_commit(explorer, witness);
        witness->committed = true;
        witness->connected = false;
        return;
    case CYCLE_ACTION_ANSWER_FAILED:
        nothing_held(witness);
        answer_owner(witness, CALL_NONE);
        return;
    case CYCLE_ACTION_ANSWER_THAWED:
        assert_true(witness->thaw_call);
        nothing_held(witness);
        check_verdict(explorer, node);
        witness->thaw_call = false;
        return;
    case CYCLE_ACTION_REFUSE_STATE:
        if (thaw_called) {
            witness->thaw_call = false;
        } else {
            answer_owner(witness, CALL_NONE);
        }
        return;
    case CYCLE_ACTION_REFUSE_RETRY:
        answer_owner(witness, CALL_PREPARE);
        witness->connected = false;
        return;
    case CYCLE_ACTION_PREPARE_APP:
    case CYCLE_ACTION_CHECK_APP:
    case CYCLE_ACTION_SYNC:
    case CYCLE_ACTION_ABANDON_SYNC:
    case CYCLE_ACTION_FREEZE_FAILED:
        return;
    }
    abort();
}

/* What happens to the application, whatever the machine makes of it. */
static void watch_event(struct node *node, const struct cycle_event *event)
{
    struct witness *witness = &node->witness;
    enum cycle_app_state state = node->cycle.apps[event->app].state;
    unsigned i = event->app;

    if (event->type == CYCLE_EVENT_APP_OK && state == CYCLE_APP_FREEZING) {
        witness->holds[i] = true;
        memset(witness->checked, 0, sizeof(witness->checked));
    } else if (event->type == CYCLE_EVENT_APP_OK && state == CYCLE_APP_CHECKING) {
        witness->checked[i] = true;
    } else if (event->type == CYCLE_EVENT_APP_SKIPPED) {
        witness->skipped[i] = true;
    } else if (event->type == CYCLE_EVENT_APP_OK && state == CYCLE_APP_THAWING) {
        witness->holds[i] = false;
    } else if (event->type == CYCLE_EVENT_APP_LOST || event->type == CYCLE_EVENT_APP_GONE ||
               event->type == CYCLE_EVENT_APP_FAILED) {
        witness->broken[i] = witness->broken[i] || witness->holds[i];
        witness->holds[i] = false;
    } else if (event->type == CYCLE_EVENT_SUPERSEDE && node->cycle.state == CYCLE_HELD) {
        witness->committed = false;     /* a thaw that meets its end may call it nothing else */
    }
}

/* May the outside world do this now? */
static bool possible(const struct node *node, const struct cycle_event *event)
{
    const struct cycle *cycle = &node->cycle;
    const struct witness *witness = &node->witness;
    const struct cycle_app *app = &cycle->apps[event->app];
    bool waits = cycle->plan.n_apps > 0 && cycle_app_waits(cycle, event->app);
    bool lives = cycle->plan.n_apps > 0 && app->state != CYCLE_APP_ENDED;

    switch (event->type) {
    case CYCLE_EVENT_PREPARE:
        return cycle->state == CYCLE_IDLE;
    case CYCLE_EVENT_FREEZE:
    case CYCLE_EVENT_COMMIT:
        return witness->connected && witness->call == CALL_NONE;
    case CYCLE_EVENT_OWNER_GONE:
        return witness->connected;
    case CYCLE_EVENT_THAW:
        return !witness->thaw_call;
    case CYCLE_EVENT_THAWER_GONE:
        return witness->thaw_call;
    case CYCLE_EVENT_APP_OK:
    case CYCLE_EVENT_APP_FAILED:
        return waits;
    case CYCLE_EVENT_APP_SKIPPED:
        return app->state == CYCLE_APP_PREPARING && lives;
    case CYCLE_EVENT_APP_LOST:
        return lives && witness->holds[event->app];
    case CYCLE_EVENT_APP_ABORTED:
        return lives && (app->state == CYCLE_APP_ABORTING || app->state == CYCLE_APP_KILLED);
    case CYCLE_EVENT_APP_GONE:
        return lives;
    case CYCLE_EVENT_SYNCED:
        return cycle->sync_deadline != 0;
    case CYCLE_EVENT_TIME:
        return cycle_next_deadline(cycle) != UINT64_MAX;
    case CYCLE_EVENT_RELEASE:
    case CYCLE_EVENT_SUPERSEDE:
    case CYCLE_EVENT_RESET:
    case CYCLE_EVENT_TERMINATE:
        return true;
    case CYCLE_EVENT_MARKER_FOUND:      /* at the start alone */
    case CYCLE_EVENT_MARKER_FAILED:
        break;
    }
    return false;
}

static void make_call(struct witness *witness, enum cycle_event_type type)
{
    if (type == CYCLE_EVENT_PREPARE) {
        *witness = (struct witness){.connected = true, .call = CALL_PREPARE};
    } else if (type == CYCLE_EVENT_FREEZE) {
        witness->call = CALL_FREEZE;
    } else if (type == CYCLE_EVENT_COMMIT) {
        witness->call = CALL_COMMIT;
    } else if (type == CYCLE_EVENT_OWNER_GONE) {
        witness->connected = false;
        witness->call = CALL_NONE;
    } else if (type == CYCLE_EVENT_THAW) {
        witness->thaw_call = true;
    } else if (type == CYCLE_EVENT_THAWER_GONE) {
        witness->thaw_call = false;
    }
}

/* How long it waited for the event. */
static uint64_t step(struct explorer *explorer, struct node *node,
                     const struct cycle_event *event)
{
    struct cycle_actions actions;
    uint64_t now = event->type == CYCLE_EVENT_TIME ? cycle_next_deadline(&node->cycle) : NOW;

    now = now > NOW ? now : NOW;
    make_call(&node->witness, event->type);
    watch_event(node, event);
    cycle_event(&node->cycle, event, now, &actions);
    for (size_t i = 0; i < actions.n; i++) {
        watch_action(explorer, node, &actions.list[i], event->type == CYCLE_EVENT_THAW);
    }
    rebase(&node->cycle, now);
    explorer->n_transitions++;
    return now - NOW;
}

/* I3, I4: with everybody silent, the deadlines alone end every hold, and answer every
 * call within its budget. */
static void check_silence(struct explorer *explorer, const struct node *from)
{
    bool in_time = from->cycle.plan.undo_deadline > NOW + CYCLE_KILL_GRACE;
    struct node node = *from;
    uint64_t waited = 0;

    for (int i = 0; cycle_next_deadline(&node.cycle) != UINT64_MAX; i++) {
        enum call call = node.witness.call;

        assert_true(i < SILENCE_STEPS);
        waited += step(explorer, &node, &(struct cycle_event){.type = CYCLE_EVENT_TIME});
        if (in_time && call != CALL_NONE && node.witness.call == CALL_NONE) {
            assert_true(NOW + waited <= from->cycle.plan.undo_deadline);
        }
    }
    nothing_held(&node.witness);
    assert_int_equal(node.witness.call, CALL_NONE);
    assert_false(node.witness.thaw_call);
    assert_false(cycle_busy(&node.cycle));
}

static void explore(uint64_t required_apps, bool rehearsal)
{
    struct explorer explorer = {
        .n_slots = 1U << 19,
        .plan =
            {
                .n_apps = N_APPS,
                .required = required_apps,
                .forward_deadline = NOW + 15 * SECOND,
                .undo_deadline = NOW + 20 * SECOND,
                .settings = {120 * SECOND, 5 * SECOND, 15 * SECOND, true},
                .rehearsal = rehearsal,
            },
    };
    struct node start = {.cycle = {.state = CYCLE_IDLE}};

    explorer.keys = calloc(explorer.n_slots, sizeof(explorer.keys[0]));
    explorer.queue = malloc(explorer.n_slots / 2 * sizeof(explorer.queue[0]));
    assert_non_null(explorer.keys);
    assert_non_null(explorer.queue);
    add(&explorer, &start);
    while (explorer.head < explorer.n_queue) {
        const struct node from = explorer.queue[explorer.head++];

        check_silence(&explorer, &from);
        for (unsigned i = 0; i < 2 * CYCLE_N_EVENTS * N_APPS; i++) {
            struct cycle_event event = {
                .type = (enum cycle_event_type)(i / (2 * N_APPS)),
                .app = i % N_APPS,
                .sync = i / N_APPS % 2 != 0,
                .deadline = NOW + 4 * SECOND,
                .plan = &explorer.plan,
            };
            struct node node = from;

            if (possible(&from, &event)) {
                (void)step(&explorer, &node, &event);
                add(&explorer, &node);
            }
        }
    }
    print_message("required %#x%s: %zu states, %zu transitions\n", (unsigned)required_apps,
                  rehearsal ? ", rehearsal" : "", explorer.n_queue, explorer.n_transitions);
    assert_true(explorer.n_queue > 1000);
    free(explorer.keys);
    free(explorer.queue);
}

static void test_two_required_apps(void **state)
{
    (void)state;
    explore(3, false);
}

static void test_a_required_and_an_optional_app(void **state)
{
    (void)state;
    explore(1, false);
}

static void test_two_optional_apps(void **state)
{
    (void)state;
    explore(0, false);
}

static void test_a_rehearsal(void **state)
{
    (void)state;
    explore(1, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_required_apps),
        cmocka_unit_test(test_a_required_and_an_optional_app),
        cmocka_unit_test(test_two_optional_apps),
        cmocka_unit_test(test_a_rehearsal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
