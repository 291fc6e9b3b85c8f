/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * checkpoint.h: a CHECKPOINT before the hold, so that a copy has little to replay
 *
 * It keeps nobody from writing, and it is all that makes a copy start sooner. It goes
 * on in the server when nobody waits for it any more, which does no harm.
 */
#ifndef POSTGRESQL_CHECKPOINT_H
#define POSTGRESQL_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "client.h"
#include "coordinates.h"
#include "quiesced-plugin.h"
#include "server.h"

enum checkpoint_policy {
    CHECKPOINT_TRY,
    CHECKPOINT_REQUIRED,
    CHECKPOINT_NO,
};

struct checkpoint {
    enum checkpoint_policy policy;
    bool done;    /* in prepare: a second one would be granted, and in time */
    bool running; /* asked for, and not answered */
};

/* "required", "try" or "no"; else -EINVAL */
int checkpoint_parse(const char *value, enum checkpoint_policy *ret_policy);

/*
 * In prepare. 0 when the policy is content: a warning may have been given. Otherwise
 * @host was told, unless it is -ECANCELED.
 */
int checkpoint_take(struct checkpoint *checkpoint, struct client *client,
                    const struct quiesced_host *host, const struct server *server,
                    uint64_t deadline);

/*
 * Another one in freeze, if @where says that a copy would replay so much that it is
 * worth the time, which may be other apps' writers'. 1 when there was one, 0 when
 * not; otherwise the session is of no use and @host was told, unless it is -ECANCELED.
 */
int checkpoint_again(struct checkpoint *checkpoint, struct client *client,
                     const struct quiesced_host *host, const struct coordinates *where,
                     uint64_t deadline);

#endif
