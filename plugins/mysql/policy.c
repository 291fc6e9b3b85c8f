/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

#define LONG_QUERY_LEAST_MS 100u
#define LONG_QUERY_MOST_MS 3600000u
#define LOCK_ATTEMPT_LEAST_MS 50u
#define LOCK_ATTEMPT_MOST_MS 60000u
#define QUERY_TEXT_MOST 1000u

struct word {
    const char *text;
    int value;
};

static bool parse_word(const char *value, const struct word *words, int *ret)
{
    for (; words->text != NULL; words++) {
        if (strcmp(value, words->text) == 0) {
            *ret = words->value;
            return true;
        }
    }
    return false;
}

/* Digits, and what follows them */
static bool parse_number(const char *value, unsigned long *ret, const char **ret_rest)
{
    char *end = NULL;
    unsigned long number;

    if (value[0] < '0' || value[0] > '9') {
        return false;
    }
    errno = 0;
    number = strtoul(value, &end, 10);
    if (errno != 0) {
        return false;
    }
    *ret = number;
    *ret_rest = end;
    return true;
}

/* "500ms", "1s", "2min": as in quiesced.conf */
static bool parse_duration(const char *value, uint32_t least, uint32_t most, uint32_t *ret_ms)
{
    static const struct {
        const char *name;
        unsigned long ms;
    } units[] = { { "ms", 1 }, { "s", 1000 }, { "min", 60000 } };
    unsigned long number;
    const char *unit;

    if (!parse_number(value, &number, &unit)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i].name) == 0 && number <= most / units[i].ms &&
            number * units[i].ms >= least) {
            *ret_ms = (uint32_t)(number * units[i].ms);
            return true;
        }
    }
    return false;
}

int policy_set_method(struct policy *policy, const struct quiesced_host *host, const char *value)
{
    static const struct word words[] = {
        { "auto", POLICY_AUTO },
        { "ftwrl", POLICY_FTWRL },
        { "backup-stage", POLICY_BACKUP_STAGE },
        { NULL, 0 },
    };
    int method;

    if (!parse_word(value, words, &method)) {
        host->error(host, "method = '%s' is neither auto, ftwrl nor backup-stage", value);
        return -EINVAL;
    }
    policy->method = (enum policy_method)method;
    return 0;
}

int policy_set_blockers(struct policy *policy, const struct quiesced_host *host, const char *value)
{
    static const struct word words[] = {
        { "wait", POLICY_WAIT },
        { "fail", POLICY_FAIL },
        { "kill", POLICY_KILL },
        { NULL, 0 },
    };
    int blockers;

    if (!parse_word(value, words, &blockers)) {
        host->error(host, "blockers = '%s' is neither wait, fail nor kill", value);
        return -EINVAL;
    }
    policy->blockers = (enum policy_blockers)blockers;
    return 0;
}

int policy_set_long_query(struct policy *policy, const struct quiesced_host *host,
                          const char *value)
{
    if (!parse_duration(value, LONG_QUERY_LEAST_MS, LONG_QUERY_MOST_MS, &policy->long_query_ms)) {
        host->error(host, "long-query = '%s' is not a time from 100ms to 60min", value);
        return -EINVAL;
    }
    return 0;
}

int policy_set_lock_attempt(struct policy *policy, const struct quiesced_host *host,
                            const char *value)
{
    if (!parse_duration(value, LOCK_ATTEMPT_LEAST_MS, LOCK_ATTEMPT_MOST_MS,
                        &policy->lock_attempt_ms)) {
        host->error(host, "lock-attempt = '%s' is not a time from 50ms to 1min", value);
        return -EINVAL;
    }
    return 0;
}

int policy_set_query_text(struct policy *policy, const struct quiesced_host *host,
                          const char *value)
{
    unsigned long number = 0;
    const char *rest = value;

    if (!parse_number(value, &number, &rest) || *rest != '\0' || number > QUERY_TEXT_MOST) {
        host->error(host, "query-text = '%s' is not a number from 0 to %u", value, QUERY_TEXT_MOST);
        return -EINVAL;
    }
    policy->query_text = (uint32_t)number;
    return 0;
}
