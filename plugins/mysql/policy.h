/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy.h: how to hold, and what to do about statements in the way, as configured */
#ifndef MYSQL_POLICY_H
#define MYSQL_POLICY_H

#include <stdint.h>

#include "quiesced-plugin.h"

enum policy_method {
    POLICY_AUTO,
    POLICY_FTWRL,
    POLICY_BACKUP_STAGE,
};

enum policy_blockers {
    POLICY_WAIT, /* until they have ended */
    POLICY_FAIL,
    POLICY_KILL,
};

struct policy {
    enum policy_method method;
    enum policy_blockers blockers;
    uint32_t long_query_ms;   /* statements older than this are long */
    uint32_t lock_attempt_ms; /* one try of the lock */
    uint32_t query_text;      /* so many characters of a statement may be shown */
};

/* Each takes the value of the key of that name. What is wrong is told to @host. */
int policy_set_method(struct policy *policy, const struct quiesced_host *host, const char *value);
int policy_set_blockers(struct policy *policy, const struct quiesced_host *host, const char *value);
int policy_set_long_query(struct policy *policy, const struct quiesced_host *host,
                          const char *value);
int policy_set_lock_attempt(struct policy *policy, const struct quiesced_host *host,
                            const char *value);
int policy_set_query_text(struct policy *policy, const struct quiesced_host *host,
                          const char *value);

#endif
