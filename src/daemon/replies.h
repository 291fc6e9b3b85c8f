/* SPDX-License-Identifier: GPL-2.0-or-later */
/* replies.h: what the answers of io.quiesced carry; every object is new */
#ifndef QUIESCED_REPLIES_H
#define QUIESCED_REPLIES_H

#include <json-c/json.h>

#include "conductor.h"

/* Of Prepare: the cycle, its apps, its warnings. */
json_object *reply_progress(const struct conductor *conductor);
json_object *reply_frozen(const struct conductor *conductor);
json_object *reply_committed(const struct conductor *conductor);
json_object *reply_verdict(const struct conductor *conductor);
json_object *reply_status(const struct conductor *conductor);

/* The parameters of the errors. */
json_object *reply_failed(const struct conductor *conductor);
json_object *reply_not_begun(const char *reason);
json_object *reply_retry_later(const struct conductor *conductor);
json_object *reply_other_protocol(uint64_t protocol);

#endif
