/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "client.h"
#include "util.h"
#include "wire.h"

static int say_unreachable(const char *path, int r)
{
    const char *hint = "";

    if (r == -ENOENT || r == -ECONNREFUSED || r == -ETIMEDOUT) {
        hint = "; start it with 'systemctl start quiesced.socket quiesced.service'";
    } else if (r == -EACCES || r == -EPERM) {
        hint = "; only root may ask it";
    }
    (void)fprintf(stderr, "quiescectl: cannot reach quiesced at '%s': %s%s\n", path, strerror(-r),
                  hint);
    return r;
}

static int say_refused(const char *method, const char *error, json_object *parameters)
{
    CLEANUP_FREE char *clean = NULL;
    const char *reason;

    if (wire_get_string(parameters, "reason", &reason) < 0) {
        reason = error;
    }
    clean = wire_clean(reason);
    (void)fprintf(stderr, "quiescectl: %s %s: %s\n", method,
                  strcmp(error, "io.quiesced.Failed") == 0 ? "failed" : "was refused",
                  clean != NULL ? clean : "no memory");
    return -EREMOTEIO;
}

/* A peer that is not allowed is shown the door without an answer. */
static int say_no_answer(const char *method, int r)
{
    (void)fprintf(stderr, "quiescectl: quiesced has not answered %s: %s\n", method,
                  r == -EPIPE && geteuid() != 0 ? "Permission denied; only root may ask it"
                                                : strerror(-r));
    return r;
}

int client_open(uint64_t deadline, struct wire_client *ret_client)
{
    const char *directory = getenv("QUIESCED_RUNTIME_DIR");
    CLEANUP_FREE char *path = NULL;
    int r;

    if (directory == NULL || directory[0] == '\0') {
        directory = QUIESCED_RUNTIME_DIR_DEFAULT;
    }
    if (asprintf(&path, "%s/quiesced.sock", directory) < 0) {
        path = NULL;
        return say_unreachable(directory, -ENOMEM);
    }
    r = wire_connect(path, deadline, ret_client);
    return r < 0 ? say_unreachable(path, r) : 0;
}

int client_ask(struct wire_client *client, const char *method, json_object *parameters,
               uint64_t deadline, json_object **ret_parameters)
{
    CLEANUP_FREE char *name = NULL;
    CLEANUP_FREE char *error = NULL;
    json_object *answer = NULL;
    int r;

    if (asprintf(&name, "io.quiesced.%s", method) < 0) {
        name = NULL;
        json_object_put(parameters);
        return say_no_answer(method, -ENOMEM);
    }
    r = wire_call(client, name, parameters, deadline, &error, &answer);
    if (r == -EREMOTEIO) {
        r = say_refused(method, error, answer);
        json_object_put(answer);
        return r;
    }
    if (r < 0) {
        return say_no_answer(method, r);
    }
    *ret_parameters = answer;
    return 0;
}

int client_call(const char *method, json_object *parameters, json_object **ret_parameters)
{
    uint64_t deadline = now_usec() + CLIENT_USEC;
    struct wire_client client = { .fd = -1, .wake_fd = -1 };
    int r = client_open(deadline, &client);

    if (r < 0) {
        json_object_put(parameters);
        return r;
    }
    r = client_ask(&client, method, parameters, deadline, ret_parameters);
    wire_client_close(&client);
    return r;
}
