/* SPDX-License-Identifier: GPL-2.0-or-later */
/* trusted_file.h: files that the configuration names, opened by the worker's rules */
#ifndef MYSQL_TRUSTED_FILE_H
#define MYSQL_TRUSTED_FILE_H

#include <stdint.h>

#include "quiesced-plugin.h"

/* As host->open_trusted(), with an error where the worker has no such service. */
int trusted_file_open(const struct quiesced_host *host, const char *path, uint32_t flags,
                      int *ret_fd);

/* The whole of a small secret text file, to be given to trusted_file_wipe(). What is wrong is
 * told to @host, with the name @key of what asks for it. */
int trusted_file_read_secret(const struct quiesced_host *host, const char *key, const char *path,
                             char **ret_text);
/* Overwrites and frees a string, which may be NULL. NULL. */
char *trusted_file_wipe(char *text);

#endif
