/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quiescectl: the administrator's tool */
#include <config.h>

#include "client.h"
#include "rehearse.h"
#include "release.h"
#include "reset.h"
#include "retire.h"
#include "status.h"
#include "util.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} subcommands[] = {
    { "status", status },
    { "rehearse", rehearse },
    { "release", release },
    { "reset", reset },
    { "retire", retire },
};

static const char usage[] = "usage: quiescectl status [--json]\n"
                            "       quiescectl rehearse\n"
                            "       quiescectl release [REASON]\n"
                            "       quiescectl reset\n"
                            "       quiescectl retire\n"
                            "       quiescectl --help|--version\n";

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    for (size_t i = 0; i < ARRAY_SIZE(subcommands); i++) {
        if (strcmp(name, subcommands[i].name) == 0) {
            int r = subcommands[i].run(argc - 2, argv + 2);

            return fflush(stdout) != 0 && r == EXIT_SUCCESS ? CLIENT_FAILED : r;
        }
    }
    if (strcmp(name, "--version") == 0) {
        (void)puts("quiescectl " PACKAGE_VERSION);
        return EXIT_SUCCESS;
    }
    if (strcmp(name, "--help") == 0) {
        (void)fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    (void)fputs(usage, stderr);
    return CLIENT_USAGE;
}
