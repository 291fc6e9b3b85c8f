/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <stdbool.h>

#include "client.h"
#include "release.h"
#include "util.h"
#include "wire.h"

int release(int argc, char **argv)
{
    json_object *parameters;
    json_object *answer;
    bool released = false;
    int r;

    if (argc > 1) {
        (void)fputs("quiescectl: release takes one reason; quote it\n", stderr);
        return CLIENT_USAGE;
    }
    parameters = json_object_new_object();
    if (parameters != NULL && argc == 1) {
        CLEANUP_FREE char *reason = wire_clean(argv[0]);

        if (reason != NULL) {
            (void)json_object_object_add(parameters, "reason", json_object_new_string(reason));
        }
    }
    if (client_call("Release", parameters, &answer) < 0) {
        return CLIENT_FAILED;
    }
    r = wire_get_bool(answer, "released", &released);
    json_object_put(answer);
    if (r < 0) {
        (void)fputs("quiescectl: quiesced has answered Release with something else\n", stderr);
        return CLIENT_FAILED;
    }
    (void)puts(released ? "all holds were released; the next thaw says that they were lost"
                        : "nothing was held");
    return EXIT_SUCCESS;
}
