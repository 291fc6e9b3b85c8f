/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fixture.h: the plugins of tests/unit/fixtures, in a directory that can be trusted */
#ifndef QUIESCED_TESTS_FIXTURE_H
#define QUIESCED_TESTS_FIXTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

/* @name in the build directory; to be freed. */
static inline char *fixture_built(const char *name)
{
    const char *build = getenv("QUIESCED_BUILDDIR");

    return files_path(build != NULL ? build : ".", name);
}

/* Copies @fixture as @dir/@as: the build directory may be writable by a group. */
static inline void fixture_copy(const char *dir, const char *as, const char *fixture)
{
    char *folder = fixture_built("tests/unit/fixtures");
    char *path = files_path(folder, fixture);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *data;

    files_check(fd >= 0 && fstat(fd, &st) == 0, path);
    data = malloc((size_t)st.st_size);
    files_check(data != NULL && read(fd, data, (size_t)st.st_size) == st.st_size, path);
    files_write_bytes(dir, as, data, (size_t)st.st_size);
    free(data);
    (void)close(fd);
    free(path);
    free(folder);
}

#endif
