/* SPDX-License-Identifier: GPL-2.0-or-later */
/* thaw.h: asks whether the holds lasted, and thaws the scripts whatever the answer */
#ifndef QUIESCED_HOOK_THAW_H
#define QUIESCED_HOOK_THAW_H

#include "call.h"

/* Returns within thaw-timeout and script-thaw-timeout. call->failed is the exit status. */
void thaw(struct call *call);

#endif
