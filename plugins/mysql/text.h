/* SPDX-License-Identifier: GPL-2.0-or-later */
/* text.h: strings that somebody owns */
#ifndef MYSQL_TEXT_H
#define MYSQL_TEXT_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "quiesced-plugin.h"

/* Puts a copy of @value into *@string in place of what was there. 0, or -ENOMEM,
 * which is told to @host. */
static inline int text_replace(char **string, const struct quiesced_host *host, const char *value)
{
    char *copy = strdup(value);

    if (copy == NULL) {
        host->error(host, "%s", strerror(ENOMEM));
        return -ENOMEM;
    }
    free(*string);
    *string = copy;
    return 0;
}

#endif
