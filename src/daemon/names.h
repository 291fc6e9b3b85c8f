/* SPDX-License-Identifier: GPL-2.0-or-later */
/* names.h: how the cycle's states, outcomes and causes read */
#ifndef QUIESCED_NAMES_H
#define QUIESCED_NAMES_H

#include "cycle.h"

/* As they stand on the wire. */
const char *name_of_state(enum cycle_state state);
const char *name_of_outcome(enum cycle_outcome outcome);
/* Half a sentence for people; NULL when the apps' own errors are the cause. */
const char *name_of_cause(enum cycle_cause cause);

#endif
