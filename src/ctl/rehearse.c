/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "rehearse.h"

#include <stdbool.h>

#include "client.h"
#include "settings.h"
#include "util.h"
#include "wire.h"

static json_object *time_member(uint64_t usec)
{
    return json_object_new_int64((int64_t)usec);
}

/* The budget of a freeze, as fsfreeze-hook has it by default. */
static json_object *prepare_parameters(uint64_t forward, uint64_t end)
{
    json_object *parameters = json_object_new_object();

    (void)json_object_object_add(parameters, "protocol", json_object_new_int(WIRE_PROTOCOL));
    (void)json_object_object_add(parameters, "deadline_monotonic",
                                 time_member(sub_usec(forward, DEADLINE_MARGIN)));
    (void)json_object_object_add(parameters, "undo_deadline_monotonic",
                                 time_member(sub_usec(end, DEADLINE_MARGIN)));
    (void)json_object_object_add(parameters, "rehearsal", json_object_new_boolean(true));
    return parameters;
}

/* A text of the reply's, made fit for a terminal. Never NULL. */
static const char *clean_member(json_object *object, const char *key, char **ret_owned)
{
    const char *text = "?";

    (void)wire_get_string(object, key, &text);
    *ret_owned = wire_clean(text);
    return *ret_owned != NULL ? *ret_owned : "?";
}

static double milliseconds(json_object *object, const char *key)
{
    uint64_t usec = 0;

    (void)wire_get_uint(object, key, &usec);
    return (double)usec / (double)USEC_PER_MSEC;
}

/* Of the whole, or of the app of this @name. */
static void print_warnings(json_object *object, const char *name)
{
    json_object *list = NULL;

    if (wire_get_array(object, "warnings", &list) < 0) {
        return;
    }
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        CLEANUP_FREE char *text =
            wire_clean(json_object_get_string(json_object_array_get_idx(list, i)));

        (void)printf("%s%s%swarning: %s\n", name != NULL ? "app '" : "", name != NULL ? name : "",
                     name != NULL ? "': " : "", text != NULL ? text : "?");
    }
}

static void print_app(json_object *app)
{
    static const char *const keys[] = { "name", "outcome", "method", "server", "error" };
    char *owned[ARRAY_SIZE(keys)] = { NULL };
    const char *texts[ARRAY_SIZE(keys)];
    bool server = json_object_object_get_ex(app, "server", NULL);

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        texts[i] = clean_member(app, keys[i], &owned[i]);
    }
    if (strcmp(texts[1], "held") == 0) {
        (void)printf("app '%s': held by %s%s%s; prepared in %.1f ms, held after %.1f ms\n",
                     texts[0], texts[2], server ? " on " : "", server ? texts[3] : "",
                     milliseconds(app, "prepare_usec"), milliseconds(app, "hold_usec"));
    } else {
        (void)printf("app '%s': %s: %s\n", texts[0], texts[1], texts[4]);
    }
    print_warnings(app, texts[0]);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        free(owned[i]);
    }
}

static void print_reply(json_object *reply)
{
    json_object *list = NULL;

    if (wire_get_array(reply, "apps", &list) == 0) {
        for (size_t i = 0; i < json_object_array_length(list); i++) {
            print_app(json_object_array_get_idx(list, i));
        }
    }
    print_warnings(reply, NULL);
}

/* Takes every hold. 0, or -errno after one line on stderr. */
static int hold(struct wire_client *client, uint64_t forward, uint64_t end,
                json_object **ret_reply)
{
    json_object *parameters;
    json_object *reply = NULL;
    int r = client_ask(client, "Prepare", prepare_parameters(forward, end), end, &reply);

    if (r < 0) {
        return r;
    }
    json_object_put(reply);
    parameters = json_object_new_object();
    (void)json_object_object_add(parameters, "scripts", json_object_new_boolean(false));
    return client_ask(client, "Freeze", parameters, end, ret_reply);
}

int rehearse(int argc, char **argv)
{
    struct wire_client client = { .fd = -1, .wake_fd = -1 };
    struct settings settings;
    json_object *reply = NULL;
    uint64_t start = now_usec();
    uint64_t end;
    int r;

    (void)argv;
    if (argc > 0) {
        (void)fputs("quiescectl: rehearse takes no argument\n", stderr);
        return CLIENT_USAGE;
    }
    settings_default(&settings);
    end = start + settings.freeze_timeout;
    if (client_open(end, &client) < 0) {
        return CLIENT_FAILED;
    }
    r = hold(&client, end - settings.freeze_timeout / 4, end, &reply);
    /* closing lets go; the daemon closes too when it has */
    if (wire_finish(&client, end) < 0) {
        (void)fputs("quiescectl: quiesced has not said in time that all holds have ended\n",
                    stderr);
        r = -ETIMEDOUT;
    }
    wire_client_close(&client);
    if (r < 0) {
        return CLIENT_FAILED;
    }
    print_reply(reply);
    json_object_put(reply);
    (void)puts("all holds were let go; no script was run, nothing was frozen");
    return EXIT_SUCCESS;
}
