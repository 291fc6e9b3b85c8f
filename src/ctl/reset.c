/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "client.h"
#include "reset.h"
#include "util.h"

int reset(int argc, char **argv)
{
    json_object *answer;

    (void)argv;
    if (argc > 0) {
        (void)fputs("quiescectl: reset takes no argument\n", stderr);
        return CLIENT_USAGE;
    }
    if (client_call("Reset", NULL, &answer) < 0) {
        return CLIENT_FAILED;
    }
    json_object_put(answer);
    (void)puts("the next freeze is tried at once");
    return EXIT_SUCCESS;
}
