/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * file.h: files that the configuration names, if the worker trusts them
 *
 * What is wrong with one is told to the host, which names it.
 */
#ifndef POSTGRESQL_FILE_H
#define POSTGRESQL_FILE_H

#include <stddef.h>

#include "quiesced-plugin.h"

enum file_kind {
    FILE_PUBLIC,
    FILE_SECRET, /* others may not read it; may be a credential of the service */
};

/* Is it there, and could nobody else have written it? 0 or -errno. */
int file_check(const struct quiesced_host *host, const char *path, enum file_kind kind);

/* The same, and reads all of it, at most @size - 1 bytes, as a string. */
int file_read(const struct quiesced_host *host, const char *path, enum file_kind kind,
              char *ret_text, size_t size);

#endif
