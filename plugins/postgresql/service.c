/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "service.h"

/* The line without the blanks around it */
static char *trim(char *line)
{
    size_t n;

    line += strspn(line, " \t\r");
    n = strlen(line);
    while (n > 0 && strchr(" \t\r", line[n - 1]) != NULL) {
        n--;
    }
    line[n] = '\0';
    return line;
}

static bool is_heading(const char *line, const char *name)
{
    size_t n = strlen(name);

    return strncmp(line + 1, name, n) == 0 && strcmp(line + 1 + n, "]") == 0;
}

int service_parse(char *text, const char *name,
                  int (*take)(void *data, const char *key, const char *value), void *data,
                  unsigned int *ret_line)
{
    bool found = false;
    unsigned int number = 0;
    char *raw;

    while ((raw = strsep(&text, "\n")) != NULL) {
        char *line = trim(raw);
        char *equals;
        int r;

        number++;
        if (line[0] == '\0' || line[0] == '#') {
            continue;
        }
        if (line[0] == '[') {
            if (found) {
                break;
            }
            found = is_heading(line, name);
            continue;
        }
        if (!found) {
            continue;
        }
        /* No blanks around the sign: libpq takes none either. */
        equals = strchr(line, '=');
        if (equals == NULL || equals == line) {
            *ret_line = number;
            return -EINVAL;
        }
        *equals = '\0';
        r = take(data, line, equals + 1);
        if (r < 0) {
            return r;
        }
    }
    return found ? 0 : -ENOENT;
}
