/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "stamp.h"

#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>

#include "util.h"

#define FNV_BASIS UINT64_C(14695981039346656037)
#define FNV_PRIME UINT64_C(1099511628211)

static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * FNV_PRIME;
    }
    return hash;
}

static uint64_t mix_file(uint64_t hash, const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0) {
        return mix(hash, "-", 1);
    }
    hash = mix(hash, &st.st_ino, sizeof(st.st_ino));
    hash = mix(hash, &st.st_size, sizeof(st.st_size));
    /* ctime: a changed mode or owner counts too */
    return mix(hash, &st.st_ctim, sizeof(st.st_ctim));
}

uint64_t stamp_of_config(const char *config_dir)
{
    uint64_t hash = FNV_BASIS;
    uint64_t sum = 0;           /* of all files: their order in the directory is no matter */
    char path[PATH_MAX];
    struct dirent *entry;
    DIR *dir;

    (void)snprintf(path, sizeof(path), "%s/quiesced.conf", config_dir);
    hash = mix_file(hash, path);
    (void)snprintf(path, sizeof(path), "%s/apps.d", config_dir);
    hash = mix_file(hash, path);
    dir = opendir(path);
    if (dir == NULL) {
        return hash;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.' &&
            snprintf(path, sizeof(path), "%s/apps.d/%s", config_dir, entry->d_name) <
                (int)sizeof(path)) {
            sum += mix_file(mix(FNV_BASIS, path, strlen(path)), path);
        }
    }
    (void)closedir(dir);
    return mix(hash, &sum, sizeof(sum));
}
