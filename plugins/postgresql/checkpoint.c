/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint.h"
#include "deadline.h"

/* Kept of the deadline of prepare in any case */
#define RESERVE_MS 300u
/* What ends the wait is the server, which is a little earlier; this is for its answer. */
#define ANSWER_MS 200u
/* Redo that takes about a second to replay: then a second checkpoint is worth its time. */
#define AGAIN_BYTES (UINT64_C(256) << 20)
#define AGAIN_LEAST_MS 1000u

int checkpoint_parse(const char *value, enum checkpoint_policy *ret_policy)
{
    static const char *const names[] = {
        [CHECKPOINT_TRY] = "try",
        [CHECKPOINT_REQUIRED] = "required",
        [CHECKPOINT_NO] = "no",
    };

    for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(value, names[i]) == 0) {
            *ret_policy = (enum checkpoint_policy)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* 0, or as client_query(). The server gives up by itself, and the session stays of use. */
static int run(struct checkpoint *checkpoint, struct client *client,
               const struct quiesced_host *host, uint64_t until)
{
    /* The hold, which limits an idle session, begins afterwards. */
    int r = server_limit(client, host, until, 0);

    if (r < 0) {
        return r;
    }
    checkpoint->running = true;
    r = client_query(client, "CHECKPOINT", until + ANSWER_MS * USEC_PER_MSEC, NULL);
    checkpoint->running = client_is_busy(client);
    return r;
}

static void describe_refusal(const struct client *client, const struct server *server,
                             uint32_t limit, char *ret, size_t size)
{
    if (strcmp(client_state(client), CLIENT_E_QUERY_CANCELED) == 0) {
        (void)snprintf(ret, size, "CHECKPOINT did not end within %u ms", limit);
    } else if (strcmp(client_state(client), CLIENT_E_PRIVILEGE) != 0) {
        (void)snprintf(ret, size, "CHECKPOINT failed: %s", client_error(client));
    } else if (server->version >= SERVER_VERSION_CHECKPOINT_ROLE) {
        (void)snprintf(ret, size,
                       "role %s may not do CHECKPOINT, grant it: GRANT pg_checkpoint TO %s",
                       server->account, server->account);
    } else {
        (void)snprintf(ret, size,
                       "role %s may not do CHECKPOINT, which before PostgreSQL 15 only a "
                       "superuser may: ALTER ROLE %s SUPERUSER",
                       server->account, server->account);
    }
}

int checkpoint_take(struct checkpoint *checkpoint, struct client *client,
                    const struct quiesced_host *host, const struct server *server,
                    uint64_t deadline)
{
    bool required = checkpoint->policy == CHECKPOINT_REQUIRED;
    uint64_t begin = deadline_now();
    uint64_t last = deadline_before(deadline, RESERVE_MS + ANSWER_MS);
    /* The deadline is that of the scripts and of the holds too, which come afterwards. */
    uint32_t left = host->left_ms(host, last);
    uint32_t limit = required ? left - left / 4 : left / 2;
    char why[512];
    int r;

    if (checkpoint->policy == CHECKPOINT_NO) {
        return 0;
    }
    r = run(checkpoint, client, host, deadline_before(last, left - limit));
    if (r == 0) {
        checkpoint->done = true;
        host->log(host, QUIESCED_DEBUG, "CHECKPOINT took %" PRIu64 " ms",
                  (deadline_now() - begin) / USEC_PER_MSEC);
        return 0;
    }
    if (r == -ECANCELED) {
        return r;
    }
    if (r != -EREMOTEIO) {
        host->error(host, "CHECKPOINT failed: %s", client_error(client));
        return r;
    }
    describe_refusal(client, server, limit, why, sizeof(why));
    if (!required) {
        host->log(host, QUIESCED_WARNING, "%s; the copy will have more to replay", why);
        return 0;
    }
    r = strcmp(client_state(client), CLIENT_E_QUERY_CANCELED) == 0 ? -ETIMEDOUT
        : strcmp(client_state(client), CLIENT_E_PRIVILEGE) == 0    ? -EACCES
                                                                   : -EREMOTEIO;
    host->error(host, "%s", why);
    return r;
}

int checkpoint_again(struct checkpoint *checkpoint, struct client *client,
                     const struct quiesced_host *host, const struct coordinates *where,
                     uint64_t deadline)
{
    uint32_t left = host->left_ms(host, deadline);
    uint64_t bytes = coordinates_redo_bytes(where);
    int r;

    /* A standby can only repeat what its primary has written checkpoints of. */
    if (!checkpoint->done || bytes < AGAIN_BYTES || coordinates_are_of_standby(where) ||
        left / 2 < AGAIN_LEAST_MS) {
        return 0;
    }
    r = run(checkpoint, client, host, deadline_before(deadline, left / 2));
    if (r == 0) {
        return 1;
    }
    if (r == -EREMOTEIO) {
        host->log(host, QUIESCED_INFO,
                  "a second CHECKPOINT was given up (%s): the copy will have about %" PRIu64
                  " MB to replay",
                  client_error(client), bytes >> 20);
        return 1;
    }
    if (r != -ECANCELED) {
        host->error(host, "a second CHECKPOINT failed: %s", client_error(client));
    }
    return r;
}
