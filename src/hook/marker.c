/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "apps.h"
#include "marker.h"
#include "util.h"
#include "wire.h"

static char *marker_path(const char *runtime_dir)
{
    char *path;

    return asprintf(&path, "%s/" MARKER_FILE, runtime_dir) < 0 ? NULL : path;
}

bool marker_exists(const char *runtime_dir)
{
    CLEANUP_FREE char *path = marker_path(runtime_dir);
    struct stat st;

    return path == NULL || lstat(path, &st) == 0 || errno != ENOENT;
}

/* The names of the apps in one line, to be freed, or NULL. */
static char *names_of(json_object *object)
{
    json_object *apps;
    char *names = NULL;

    if (wire_get_array(object, "apps", &apps) < 0) {
        return NULL;
    }
    for (size_t i = 0; i < json_object_array_length(apps) && i < APPS_MAX; i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(apps, i));
        char *more;

        if (name == NULL || !app_name_valid(name) ||
            asprintf(&more, "%s%s'%s'", names != NULL ? names : "", names != NULL ? ", " : "",
                     name) < 0) {
            continue;
        }
        free(names);
        names = more;
    }
    return names;
}

/* Fills in cycle and apps, as far as the file makes sense. */
static void read_content(struct marker *marker)
{
    CLEANUP_CLOSE int fd =
        open(marker->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    CLEANUP_FREE char *text = malloc(MARKER_SIZE_MAX);
    json_object *object;
    const char *cycle;
    struct stat st;
    ssize_t n = -1;

    if (text != NULL && fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        n = read(fd, text, MARKER_SIZE_MAX);
    }
    if (n <= 0 || wire_parse(text, (size_t)n, &object) < 0) {
        return;
    }
    if (wire_get_string(object, "cycle", &cycle) == 0) {
        marker->cycle = wire_clean(cycle);
    }
    marker->apps = names_of(object);
    json_object_put(object);
}

int marker_read(const char *runtime_dir, struct marker *ret_marker)
{
    struct marker marker = { .path = marker_path(runtime_dir) };

    if (marker.path == NULL) {
        return -ENOMEM;
    }
    read_content(&marker);
    *ret_marker = marker;
    return 0;
}

void marker_free(struct marker *marker)
{
    free(marker->path);
    free(marker->cycle);
    free(marker->apps);
    *marker = (struct marker){ 0 };
}

void marker_remove(const struct marker *marker)
{
    struct marker now = { .path = marker->path };
    bool same;

    if (marker->path == NULL) {
        return;
    }
    read_content(&now);
    same = marker->cycle == NULL || now.cycle == NULL || strcmp(marker->cycle, now.cycle) == 0;
    if (same) {
        (void)unlink(marker->path);
    }
    now.path = NULL;
    marker_free(&now);
}
