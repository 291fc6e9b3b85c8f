/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "daemon.h"
#include "reply.h"
#include "util.h"

#define START_IT "start it with 'systemctl start quiesced.socket quiesced.service'"

int daemon_connect(const struct call *call, uint64_t deadline, struct wire_client *ret_client,
                   char **ret_why)
{
    CLEANUP_FREE char *path = call_runtime_path(call, DAEMON_SOCKET);
    int r = path != NULL ? wire_connect(path, deadline, ret_client) : -ENOMEM;

    switch (r) {
    case 0:
        return 0;
    case -ENOENT:
    case -ECONNREFUSED:
    case -ETIMEDOUT:
        return util_fail(ret_why, r, "cannot reach quiesced at '%s': %s; " START_IT, path,
                         strerror(-r));
    default:
        return util_fail(ret_why, r, "cannot reach quiesced at '%s/%s': %s", call->runtime_dir,
                         DAEMON_SOCKET, strerror(-r));
    }
}

char *daemon_why(const struct call *call, const char *method, int r)
{
    const char *signal_name = "a signal";
    char *why = NULL;

    switch (r) {
    case -ETIMEDOUT:
        (void)util_fail(&why, r, "quiesced has not answered %s in time", method);
        break;
    case -EPIPE:
        (void)util_fail(&why, r,
                        "quiesced has ended during %s: "
                        "'journalctl -u quiesced.service' says why",
                        method);
        break;
    case -EINTR:
        (void)call_interrupted(call, &signal_name);
        (void)util_fail(&why, r, "the freeze was ended by %s during %s", signal_name, method);
        break;
    default:
        (void)util_fail(&why, r, "cannot ask quiesced for %s: %s", method, strerror(-r));
        break;
    }
    return why;
}

int daemon_call(struct call *call, struct wire_client *client, const char *method,
                json_object *parameters, uint64_t deadline, json_object **ret_parameters)
{
    CLEANUP_FREE char *name = NULL;
    CLEANUP_FREE char *error = NULL;
    CLEANUP_FREE char *why = NULL;
    json_object *answer = NULL;
    const char *cycle;
    int r;

    if (asprintf(&name, "io.quiesced.%s", method) < 0) {
        name = NULL;
        json_object_put(parameters);
        call_fail(call, "%s failed: %s", method, strerror(ENOMEM));
        return -ENOMEM;
    }
    r = wire_call(client, name, parameters, deadline, &error, &answer);
    if (r < 0 && r != -EREMOTEIO) {
        why = daemon_why(call, method, r);
        call_fail(call, "%s", why != NULL ? why : strerror(-r));
        return r;
    }
    if (wire_get_string(answer, "cycle", &cycle) == 0) {
        call_set_cycle(call, cycle);
    }
    reply_record_apps(call, answer);
    if (r < 0) {
        reply_fail(call, error, answer);
        json_object_put(answer);
        return r;
    }
    reply_warn(call, answer);
    *ret_parameters = answer;
    return 0;
}

json_object *daemon_time(uint64_t usec)
{
    return json_object_new_int64(usec > INT64_MAX ? INT64_MAX : (int64_t)usec);
}
