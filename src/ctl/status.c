/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <inttypes.h>
#include <stdbool.h>

#include "client.h"
#include "status.h"
#include "util.h"
#include "wire.h"

/* A label and a text of the reply's, made fit for a terminal. */
static void print_text(const char *label, const char *text)
{
    CLEANUP_FREE char *clean = wire_clean(text);

    (void)printf("%14s: %s\n", label, clean != NULL ? clean : "?");
}

static void print_member(json_object *object, const char *key, const char *label)
{
    const char *text;

    if (wire_get_string(object, key, &text) == 0) {
        print_text(label, text);
    }
}

/* A time of the wall's clock, and how long ago it was. */
static void print_since(json_object *reply)
{
    uint64_t now = wall_usec();
    uint64_t since;
    char text[64];
    time_t seconds;
    struct tm tm;

    if (wire_get_uint(reply, "since", &since) < 0) {
        return;
    }
    seconds = (time_t)(since / USEC_PER_SEC);
    if (localtime_r(&seconds, &tm) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %z", &tm) == 0) {
        return;
    }
    (void)printf("%14s: %s (%" PRIu64 " s ago)\n", "since", text,
                 sub_usec(now, since) / USEC_PER_SEC);
}

static void print_deadline(json_object *reply)
{
    uint64_t now = now_usec();
    uint64_t until;

    if (wire_get_uint(reply, "hold_until_monotonic", &until) < 0) {
        return;
    }
    (void)printf("%14s: in %" PRIu64 " s at the latest\n", "released",
                 sub_usec(until, now) / USEC_PER_SEC);
}

static void print_retry(json_object *reply)
{
    uint64_t retry;

    if (wire_get_uint(reply, "retry_in_usec", &retry) < 0 || retry == 0) {
        return;
    }
    (void)printf("%14s: in %" PRIu64 " s; until then a freeze is refused\n", "next try",
                 (retry + USEC_PER_SEC - 1) / USEC_PER_SEC);
}

/* "main (mysql, required): held by ftwrl on MariaDB 11.4", and why not behind it */
static void print_app(json_object *app)
{
    static const char *const keys[] = { "name",   "plugin", "policy", "outcome",
                                        "method", "server", "error" };
    char *texts[ARRAY_SIZE(keys)] = { NULL };
    bool held;

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const char *text;

        if (wire_get_string(app, keys[i], &text) == 0) {
            texts[i] = wire_clean(text);
        }
    }
    held = texts[3] != NULL && strcmp(texts[3], "held") == 0;
    (void)printf("%14s: %s (%s, %s): %s", "app", texts[0] != NULL ? texts[0] : "?",
                 texts[1] != NULL ? texts[1] : "?", texts[2] != NULL ? texts[2] : "?",
                 texts[3] != NULL ? texts[3] : "?");
    if (texts[4] != NULL && held) {
        (void)printf(" by %s", texts[4]);
    }
    if (texts[5] != NULL && held) {
        (void)printf(" on %s", texts[5]);
    }
    if (texts[6] != NULL) {
        (void)printf(": %s", texts[6]);
    }
    (void)putchar('\n');
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        free(texts[i]);
    }
}

static void print_status(json_object *reply)
{
    json_object *apps;

    print_member(reply, "state", "state");
    print_member(reply, "cycle", "cycle");
    print_since(reply);
    print_deadline(reply);
    if (wire_get_array(reply, "apps", &apps) == 0) {
        for (size_t i = 0; i < json_object_array_length(apps); i++) {
            print_app(json_object_array_get_idx(apps, i));
        }
    }
    print_member(reply, "last_failure", "last failure");
    print_retry(reply);
    print_member(reply, "version", "version");
}

int status(int argc, char **argv)
{
    bool json = argc == 1 && strcmp(argv[0], "--json") == 0;
    json_object *reply;

    if (argc > 0 && !json) {
        (void)fputs("quiescectl: status takes --json alone\n", stderr);
        return CLIENT_USAGE;
    }
    if (client_call("Status", NULL, &reply) < 0) {
        return CLIENT_FAILED;
    }
    if (json) {
        const int flags =
            JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;

        (void)puts(json_object_to_json_string_ext(reply, flags));
    } else {
        print_status(reply);
    }
    json_object_put(reply);
    return EXIT_SUCCESS;
}
