/* SPDX-License-Identifier: GPL-2.0-or-later */
/* files.h: a directory for one test, and files in it; what goes wrong aborts */
#ifndef QUIESCED_TESTS_FILES_H
#define QUIESCED_TESTS_FILES_H

#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static inline void files_check(bool good, const char *what)
{
    if (!good) {
        perror(what);
        abort();
    }
}

/* The path of a new directory, 0755; to be freed after files_remove(). */
static inline char *files_new(void)
{
    char *path = strdup("/tmp/quiesced-test-XXXXXX");

    files_check(path != NULL && mkdtemp(path) != NULL, "mkdtemp");
    files_check(chmod(path, 0755) == 0, path);
    return path;
}

static inline int files_remove_one(const char *path, const struct stat *st, int type,
                                   struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void files_remove(const char *path)
{
    files_check(nftw(path, files_remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0, path);
}

/* @dir/@name; to be freed. */
static inline char *files_path(const char *dir, const char *name)
{
    char *path = NULL;

    files_check(asprintf(&path, "%s/%s", dir, name) >= 0, "asprintf");
    return path;
}

static inline void files_mode(const char *dir, const char *name, mode_t mode)
{
    char *path = files_path(dir, name);

    files_check(chmod(path, mode) == 0, path);
    free(path);
}

static inline void files_mkdir(const char *dir, const char *name, mode_t mode)
{
    char *path = files_path(dir, name);

    files_check(mkdir(path, 0700) == 0 && chmod(path, mode) == 0, path);
    free(path);
}

static inline void files_link(const char *dir, const char *name, const char *target)
{
    char *path = files_path(dir, name);

    files_check(symlink(target, path) == 0, path);
    free(path);
}

static inline void files_write_bytes(const char *dir, const char *name, const char *data,
                                     size_t size)
{
    char *path = files_path(dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    files_check(fd >= 0 && write(fd, data, size) == (ssize_t)size, path);
    files_check(fchmod(fd, 0644) == 0 && close(fd) == 0, path);
    free(path);
}

static inline void files_write(const char *dir, const char *name, const char *text)
{
    files_write_bytes(dir, name, text, strlen(text));
}

#endif
