/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "marker.h"

#include <fcntl.h>
#include <limits.h>

#include "util.h"
#include "wire.h"

#define MARKER_MAX 16384U
#define BOOT_ID_LENGTH 36U

static int read_file(const char *path, char *text, size_t size)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t n;

    if (fd < 0) {
        return -errno;
    }
    n = read(fd, text, size - 1);
    if (n < 0) {
        return -errno;
    }
    text[n] = '\0';
    return (int)n;
}

static void boot_id(char text[static BOOT_ID_LENGTH + 1])
{
    if (read_file("/proc/sys/kernel/random/boot_id", text, BOOT_ID_LENGTH + 1) < 0) {
        text[0] = '\0';
    }
}

static void marker_path(const char *runtime_dir, const char *suffix, char path[static PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, "%s/%s%s", runtime_dir, MARKER_NAME, suffix);
}

static json_object *describe(const char *cycle, const char *const *apps, size_t n_apps,
                             const char *reason)
{
    json_object *object = json_object_new_object();
    json_object *names = json_object_new_array();
    char boot[BOOT_ID_LENGTH + 1];

    boot_id(boot);
    for (size_t i = 0; i < n_apps; i++) {
        (void)json_object_array_add(names, json_object_new_string(apps[i]));
    }
    (void)json_object_object_add(object, "cycle", json_object_new_string(cycle));
    (void)json_object_object_add(object, "boot_id", json_object_new_string(boot));
    (void)json_object_object_add(object, "apps", names);
    if (reason != NULL) {
        (void)json_object_object_add(object, "reason", json_object_new_string(reason));
    }
    return object;
}

static int write_file(const char *path, const char *text, size_t size)
{
    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    ssize_t n;

    if (fd < 0) {
        return -errno;
    }
    n = write(fd, text, size);
    if (n < 0) {
        return -errno;
    }
    return (size_t)n == size ? 0 : -ENOSPC;
}

int marker_write(const char *runtime_dir, const char *cycle, const char *const *apps,
                 size_t n_apps, const char *reason)
{
    json_object *object = describe(cycle, apps, n_apps, reason);
    char path[PATH_MAX];
    char temporary[PATH_MAX];
    const char *text;
    size_t size;
    int r;

    marker_path(runtime_dir, "", path);
    marker_path(runtime_dir, ".new", temporary);
    text = json_object_to_json_string_length(object, JSON_C_TO_STRING_PLAIN, &size);
    r = write_file(temporary, text, size);
    if (r == 0 && rename(temporary, path) < 0) {
        r = -errno;
    }
    if (r < 0) {
        (void)unlink(temporary);
    }
    json_object_put(object);
    return r;
}

void marker_remove(const char *runtime_dir)
{
    char path[PATH_MAX];

    marker_path(runtime_dir, "", path);
    (void)unlink(path);
}

int marker_read(const char *runtime_dir, char **ret_cycle, char **ret_reason)
{
    json_object *object = NULL;
    const char *cycle = NULL;
    const char *reason = NULL;
    const char *boot = NULL;
    char here[BOOT_ID_LENGTH + 1];
    char path[PATH_MAX];
    char text[MARKER_MAX];
    int r;

    marker_path(runtime_dir, "", path);
    r = read_file(path, text, sizeof(text));
    if (r < 0) {
        return r == -ENOENT ? 0 : r;
    }
    r = wire_parse(text, (size_t)r, &object);
    if (r < 0) {
        return r;
    }
    boot_id(here);
    if (wire_get_string(object, "boot_id", &boot) == 0 && strcmp(boot, here) != 0) {
        json_object_put(object);
        marker_remove(runtime_dir);
        return 0;
    }
    (void)wire_get_string(object, "cycle", &cycle);
    (void)wire_get_string(object, "reason", &reason);
    *ret_cycle = cycle != NULL ? strdup(cycle) : NULL;
    *ret_reason = reason != NULL ? wire_clean(reason) : NULL;
    json_object_put(object);
    return 1;
}
