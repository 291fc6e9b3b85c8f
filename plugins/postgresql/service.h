/* SPDX-License-Identifier: GPL-2.0-or-later */
/* service.h: one service of a connection service file, as libpq would read it */
#ifndef POSTGRESQL_SERVICE_H
#define POSTGRESQL_SERVICE_H

#include <stddef.h>

/*
 * Calls @take for each parameter of the service @name in @text, which is changed.
 * 0; what @take returned, if that was negative; -ENOENT when there is no such service;
 * -EINVAL and *ret_line when a line is none of such a file.
 */
int service_parse(char *text, const char *name,
                  int (*take)(void *data, const char *key, const char *value), void *data,
                  unsigned int *ret_line);

#endif
