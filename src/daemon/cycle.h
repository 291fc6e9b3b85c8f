/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cycle.h: one cycle, as a pure state machine
 *
 * Events and the time go in, actions come out. No descriptor, no clock, no text,
 * no memory of its own: a struct cycle may be copied and compared, so that a test
 * can try every event in every state that can be reached.
 *
 *   IDLE -> PREPARING -> PREPARED -> SYNCING -> FREEZING -> CHECKING -> FROZEN
 *     ^                                                                   |
 *     |                                                                 Commit
 *     |                                                                   v
 *     +---------------------- THAWING <------------ Thaw -------------- HELD
 *     |
 *     +-- FAILED <-- UNDOING <-- whatever fails before Commit
 *
 * HELD is left by a thaw, or by a Prepare that ends an older cycle: a hold that is
 * lost or ended early changes an app, not the state, and the thaw tells of it.
 */
#ifndef QUIESCED_CYCLE_H
#define QUIESCED_CYCLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CYCLE_APPS_MAX 64

/* A third of what is left, and never more, goes to a sync. */
#define CYCLE_SYNC_MAX UINT64_C(5000000)
/* How much longer the optional apps get once all required ones hold. */
#define CYCLE_OPTIONAL_EXTRA UINT64_C(500000)
/* How long an app may take to let go before its worker is killed. */
#define CYCLE_ABORT_MAX UINT64_C(1000000)
/* How long a killed worker is waited for before it is given up. */
#define CYCLE_KILL_GRACE UINT64_C(100000)

enum cycle_state {
    CYCLE_IDLE,
    CYCLE_PREPARING,
    CYCLE_PREPARED,     /* waits for Freeze */
    CYCLE_SYNCING,
    CYCLE_FREEZING,
    CYCLE_CHECKING,     /* all hold, and are asked once more */
    CYCLE_FROZEN,       /* waits for Commit */
    CYCLE_HELD,
    CYCLE_THAWING,
    CYCLE_UNDOING,
    CYCLE_FAILED,       /* undone, and the owner does not know it yet */
};

enum cycle_app_state {
    CYCLE_APP_PREPARING,
    CYCLE_APP_READY,
    CYCLE_APP_FREEZING,
    CYCLE_APP_HOLDING,
    CYCLE_APP_CHECKING,
    CYCLE_APP_THAWING,
    CYCLE_APP_ABORTING,
    CYCLE_APP_KILLED,
    CYCLE_APP_ENDED,    /* holds nothing, or was given up */
};

enum cycle_outcome {
    CYCLE_OUTCOME_PENDING,
    CYCLE_OUTCOME_HELD,
    CYCLE_OUTCOME_SKIPPED,
    CYCLE_OUTCOME_FAILED,
    CYCLE_OUTCOME_LOST,
};

/* Why a freeze is undone, or why all holds were ended early. */
enum cycle_cause {
    CYCLE_CAUSE_NONE,
    CYCLE_CAUSE_APP,            /* a required app; its own error tells */
    CYCLE_CAUSE_LATE,           /* the forward work took too long */
    CYCLE_CAUSE_OWNER_GONE,
    CYCLE_CAUSE_RELEASED,
    CYCLE_CAUSE_TERMINATED,
    CYCLE_CAUSE_SUPERSEDED,     /* a newer freeze came, and no thaw before it */
    CYCLE_CAUSE_HOLD_DEADLINE,
    CYCLE_CAUSE_THAWED,         /* a thaw came before Commit */
    CYCLE_CAUSE_RESTARTED,      /* the daemon found a marker at its start */
    CYCLE_CAUSE_MARKER,         /* the marker could not be written */
};

enum cycle_event_type {
    /* from the connection that owns the cycle */
    CYCLE_EVENT_PREPARE,
    CYCLE_EVENT_FREEZE,
    CYCLE_EVENT_COMMIT,
    CYCLE_EVENT_OWNER_GONE,     /* also: the answer to Commit could not be sent */
    /* from any connection */
    CYCLE_EVENT_THAW,
    CYCLE_EVENT_THAWER_GONE,
    CYCLE_EVENT_RELEASE,
    CYCLE_EVENT_SUPERSEDE,      /* a Prepare waits: ends what is HELD, and a rehearsal */
    CYCLE_EVENT_RESET,
    /* from a worker */
    CYCLE_EVENT_APP_OK,         /* the phase that was asked for succeeded */
    CYCLE_EVENT_APP_SKIPPED,    /* not running, and that is no failure */
    CYCLE_EVENT_APP_FAILED,     /* the phase failed */
    CYCLE_EVENT_APP_LOST,       /* the hold was lost, and the worker ends */
    CYCLE_EVENT_APP_ABORTED,    /* has let go, as it was told */
    CYCLE_EVENT_APP_GONE,       /* the worker died */
    /* from ourselves */
    CYCLE_EVENT_SYNCED,
    CYCLE_EVENT_TIME,
    CYCLE_EVENT_TERMINATE,
    CYCLE_EVENT_MARKER_FOUND,
    CYCLE_EVENT_MARKER_FAILED,
};
#define CYCLE_N_EVENTS (CYCLE_EVENT_MARKER_FAILED + 1)

struct cycle_settings {
    uint64_t hold_timeout;      /* microseconds, as all times here */
    uint64_t hold_attempt;
    uint64_t retry_after;
    bool sync;
};

/* What a Prepare brings. */
struct cycle_plan {
    unsigned n_apps;
    uint64_t required;          /* bit i: app i is required */
    uint64_t forward_deadline;
    uint64_t undo_deadline;
    struct cycle_settings settings;
    bool config_changed;        /* since the Prepare before it: ends retry-after */
    bool rehearsal;             /* never commits, leaves no marker, knows no retry-after */
};

struct cycle_event {
    enum cycle_event_type type;
    unsigned app;               /* APP_...: which */
    bool sync;                  /* FREEZE: is a second sync due? */
    uint64_t deadline;          /* THAW */
    const struct cycle_plan *plan;      /* PREPARE */
};

enum cycle_action_type {
    /* to one app's worker; its deadline is in struct cycle_app */
    CYCLE_ACTION_PREPARE_APP,   /* starts the worker */
    CYCLE_ACTION_FREEZE_APP,
    CYCLE_ACTION_CHECK_APP,
    CYCLE_ACTION_THAW_APP,
    CYCLE_ACTION_ABORT_APP,
    CYCLE_ACTION_KILL_APP,
    CYCLE_ACTION_GIVE_UP_APP,   /* was killed, and does not die */
    CYCLE_ACTION_DISMISS_APP,   /* has let go, and exits by itself */
    /* to ourselves */
    CYCLE_ACTION_SYNC,
    CYCLE_ACTION_ABANDON_SYNC,
    CYCLE_ACTION_MARK,
    CYCLE_ACTION_FREEZE_FAILED, /* it is being undone; the reason is known by now */
    CYCLE_ACTION_HOLDS_ENDED,   /* early; the cause belongs into the marker */
    CYCLE_ACTION_UNMARK,
    CYCLE_ACTION_END,           /* the cycle is over */
    /* to a connection */
    CYCLE_ACTION_ANSWER_PREPARED,
    CYCLE_ACTION_ANSWER_FROZEN,
    CYCLE_ACTION_ANSWER_COMMITTED,
    CYCLE_ACTION_ANSWER_FAILED,
    CYCLE_ACTION_ANSWER_THAWED,
    CYCLE_ACTION_REFUSE_RETRY,
    CYCLE_ACTION_REFUSE_STATE,
};

struct cycle_action {
    enum cycle_action_type type;
    unsigned app;
};

/* In the order in which they are to be done. */
struct cycle_actions {
    struct cycle_action list[4 * CYCLE_APPS_MAX + 16];
    size_t n;
};

struct cycle_app {
    enum cycle_app_state state;
    enum cycle_outcome outcome;
    uint64_t deadline;          /* of the state, 0: none */
};

struct cycle {
    enum cycle_state state;
    enum cycle_cause cause;
    struct cycle_app apps[CYCLE_APPS_MAX];
    struct cycle_plan plan;
    uint64_t sync_deadline;     /* 0: no sync is waited for */
    uint64_t optional_deadline; /* 0: not all required apps hold yet */
    uint64_t hold_deadline;     /* 0: no hold has been asked for */
    uint64_t retry_at;          /* a Prepare before it is refused; 0: none is */
    bool owner;                 /* the connection of Prepare lives */
    bool owner_waits;           /* UNDOING: it has a call that is not answered */
    bool thawer;                /* a connection waits for the verdict */
};

/* Takes one event at @now. Overwrites *ret_actions. */
void cycle_event(struct cycle *cycle, const struct cycle_event *event, uint64_t now,
                 struct cycle_actions *ret_actions);

/* When CYCLE_EVENT_TIME is due at the latest; UINT64_MAX: never. */
uint64_t cycle_next_deadline(const struct cycle *cycle);

bool cycle_required(const struct cycle *cycle, unsigned app);
/* Has a phase been asked of the app that it has not answered? */
bool cycle_app_waits(const struct cycle *cycle, unsigned app);
/* Is any worker of the cycle still waited for? */
bool cycle_busy(const struct cycle *cycle);
/* The verdict: every required app's hold has lasted. */
bool cycle_consistent(const struct cycle *cycle);

#endif
