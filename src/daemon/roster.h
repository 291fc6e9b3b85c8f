/* SPDX-License-Identifier: GPL-2.0-or-later */
/* roster.h: the apps of a cycle, from their configuration to what became of them */
#ifndef QUIESCED_ROSTER_H
#define QUIESCED_ROSTER_H

#include <json-c/json.h>

#include "apps.h"
#include "cycle.h"
#include "member.h"

#define ROSTER_ID_BYTES 16U

struct roster {
    char id[2 * ROSTER_ID_BYTES + 1];   /* the cycle's, "" before the first one */
    struct apps apps;
    struct member members[CYCLE_APPS_MAX];
    size_t n;
    json_object *warnings;      /* of the cycle as a whole */
};

/*
 * Reads the configuration into @roster, in place of what it held, with a new id, and
 * makes a plan of it whose deadlines are the caller's to fill in. 0, or -errno with one line in
 * *ret_error (to be freed): an app whose file is wrong is an error too.
 */
int roster_load(struct roster *roster, const char *config_dir, struct cycle_plan *ret_plan,
                char **ret_error);
void roster_clear(struct roster *roster);

/* New arrays: of the type App, and of strings. */
json_object *roster_describe(const struct roster *roster, const struct cycle *cycle);
json_object *roster_warnings(const struct roster *roster);
/* The errors of the required apps that failed or lost their hold, on one line; NULL
 * when there is none. To be freed. */
char *roster_reason(const struct roster *roster, const struct cycle *cycle);
/* 0 or -errno */
int roster_write_marker(const struct roster *roster, const char *runtime_dir,
                        const char *reason);

#endif
