/* SPDX-License-Identifier: GPL-2.0-or-later */
/* freeze.h: the way forward, and all of it back when a step fails */
#ifndef QUIESCED_HOOK_FREEZE_H
#define QUIESCED_HOOK_FREEZE_H

#include "call.h"

/* Returns within freeze-timeout. call->failed says whether all was undone. */
void freeze(struct call *call);

#endif
