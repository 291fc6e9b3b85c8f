/* SPDX-License-Identifier: GPL-2.0-or-later */
/* apps.h: the configured applications, one file each in apps.d */
#ifndef QUIESCED_APPS_H
#define QUIESCED_APPS_H

#include <stdbool.h>
#include <stddef.h>

#define APP_NAME_MAX 63
#define APPS_MAX 64

enum app_policy {
    APP_REQUIRED,
    APP_OPTIONAL,
};

enum app_not_running {
    APP_NOT_RUNNING_FAIL,
    APP_NOT_RUNNING_SKIP,
};

struct app {
    char name[APP_NAME_MAX + 1];
    char *plugin;               /* NULL when @error is set */
    enum app_policy policy;
    enum app_not_running not_running;
    char *error;                /* why the file could not be read, or NULL; such an
                                 * app is required, and has failed */
};

struct apps {
    struct app *list;           /* sorted by name */
    size_t n;
    char *warnings;             /* a line for each ignored name, or NULL */
};

/* [a-z0-9][a-z0-9-]{0,62}: a name of an app or of a plugin */
bool app_name_valid(const char *name);

/*
 * The names alone of the apps in @config_dir/apps.d and the warnings, and no file is
 * opened. 0, or -errno with one line in *ret_error (to be freed). For apps_free().
 */
int apps_names(const char *config_dir, struct apps *ret_apps, char **ret_error);

/*
 * Reads every file. Values of a plugin's section are not kept. A file that cannot
 * be read is an app with an error, not an error of this call. -errno, and one line
 * in *ret_error (to be freed). apps_free() works on what it returned, and on zeroes.
 */
int apps_load(const char *config_dir, struct apps *ret_apps, char **ret_error);
void apps_free(struct apps *apps);

/* One key of a plugin's section. -errno ends the reading. */
typedef int app_key_fn(void *data, const char *key, const char *value, unsigned line,
                       char **ret_error);

/*
 * For the worker: hands each key of the section [@plugin] of @name's file to @each.
 * *ret_public says whether others may read the file. -errno, and one line in
 * *ret_error (to be freed).
 */
int app_load_section(const char *config_dir, const char *name, const char *plugin,
                     app_key_fn *each, void *data, bool *ret_public, char **ret_error);

#endif
