/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <stdbool.h>

#include "client.h"
#include "retire.h"
#include "util.h"
#include "wire.h"

int retire(int argc, char **argv)
{
    json_object *answer;
    bool held = false;
    int r;

    (void)argv;
    if (argc > 0) {
        (void)fputs("quiescectl: retire takes no argument\n", stderr);
        return CLIENT_USAGE;
    }
    if (client_call("Retire", NULL, &answer) < 0) {
        return CLIENT_FAILED;
    }
    r = wire_get_bool(answer, "held", &held);
    json_object_put(answer);
    if (r < 0) {
        (void)fputs("quiescectl: quiesced has answered Retire with something else\n", stderr);
        return CLIENT_FAILED;
    }
    (void)puts(held ? "the daemon ends when nothing is held any more"
                    : "the daemon ends now: nothing is held");
    return EXIT_SUCCESS;
}
