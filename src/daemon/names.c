/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "names.h"

#include <stdlib.h>

const char *name_of_state(enum cycle_state state)
{
    switch (state) {
    case CYCLE_IDLE:
        return "idle";
    case CYCLE_PREPARING:
        return "preparing";
    case CYCLE_PREPARED:
        return "prepared";
    case CYCLE_SYNCING:
        return "syncing";
    case CYCLE_FREEZING:
        return "freezing";
    case CYCLE_CHECKING:
        return "checking";
    case CYCLE_FROZEN:
        return "frozen";
    case CYCLE_HELD:
        return "held";
    case CYCLE_THAWING:
        return "thawing";
    case CYCLE_UNDOING:
        return "undoing";
    case CYCLE_FAILED:
        return "failed";
    }
    abort();
}

const char *name_of_outcome(enum cycle_outcome outcome)
{
    switch (outcome) {
    case CYCLE_OUTCOME_PENDING:
        return "pending";
    case CYCLE_OUTCOME_HELD:
        return "held";
    case CYCLE_OUTCOME_SKIPPED:
        return "skipped";
    case CYCLE_OUTCOME_FAILED:
        return "failed";
    case CYCLE_OUTCOME_LOST:
        return "lost";
    }
    abort();
}

const char *name_of_cause(enum cycle_cause cause)
{
    switch (cause) {
    case CYCLE_CAUSE_NONE:
    case CYCLE_CAUSE_APP:
        return NULL;
    case CYCLE_CAUSE_LATE:
        return "the freeze took longer than three quarters of freeze-timeout";
    case CYCLE_CAUSE_OWNER_GONE:
        return "fsfreeze-hook went away before it had committed";
    case CYCLE_CAUSE_RELEASED:
        return "the administrator released it";
    case CYCLE_CAUSE_TERMINATED:
        return "the daemon was stopped";
    case CYCLE_CAUSE_SUPERSEDED:
        return "a newer freeze came, and no thaw before it";
    case CYCLE_CAUSE_HOLD_DEADLINE:
        return "the hold deadline passed, and no thaw had come";
    case CYCLE_CAUSE_THAWED:
        return "a thaw came before the freeze had ended";
    case CYCLE_CAUSE_RESTARTED:
        return "the daemon was restarted";
    case CYCLE_CAUSE_MARKER:
        return "the marker could not be written into the runtime directory";
    }
    abort();
}
