/* SPDX-License-Identifier: GPL-2.0-or-later */
/* apps.c: the configured applications, one file each in apps.d */
#include <config.h>

#include <dirent.h>

#include "apps.h"
#include "ini_file.h"
#include "trust.h"
#include "util.h"
#include "wire.h"

#define SUFFIX ".conf"
#define WARNINGS_MAX 16U

/* What a file says, and to whom the plugin's keys go. */
struct app_file {
    struct app app;
    char *section; /* the one that is not [app], or NULL */
    unsigned section_line;
    const char *plugin; /* whose keys go to @each, or NULL */
    app_key_fn *each;
    void *data;
};

/* What apps.d holds. */
struct listing {
    char **names; /* of apps, sorted */
    size_t n;
    char **others; /* and what else is there */
    size_t n_others;
};

bool app_name_valid(const char *name)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    static const char next[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t n = strlen(name);

    return n > 0 && n <= APP_NAME_MAX && strchr(first, name[0]) != NULL && strspn(name, next) == n;
}

/* Is @file an app's? Then its name is in @ret_name. */
static bool name_of_file(const char *file, char ret_name[static APP_NAME_MAX + 1])
{
    char name[APP_NAME_MAX + 1];
    size_t n = strlen(file);

    if (n <= strlen(SUFFIX) || n - strlen(SUFFIX) > APP_NAME_MAX ||
        strcmp(file + n - strlen(SUFFIX), SUFFIX) != 0) {
        return false;
    }
    n -= strlen(SUFFIX);
    memcpy(name, file, n);
    name[n] = '\0';
    if (!app_name_valid(name)) {
        return false;
    }
    memcpy(ret_name, name, n + 1);
    return true;
}

static void free_strings(char **list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i]);
    }
    free(list);
}

static void listing_free(struct listing *listing)
{
    free_strings(listing->names, listing->n);
    free_strings(listing->others, listing->n_others);
    *listing = (struct listing){ 0 };
}

static int append_string(char ***list, size_t *n, const char *text)
{
    char **bigger = reallocarray(*list, *n + 1, sizeof(**list));

    if (bigger == NULL) {
        return -ENOMEM;
    }
    *list = bigger;
    bigger[*n] = strdup(text);
    if (bigger[*n] == NULL) {
        return -ENOMEM;
    }
    (*n)++;
    return 0;
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_strings(char **list, size_t n)
{
    if (n > 0) {
        qsort(list, n, sizeof(*list), compare_strings);
    }
}

static int listing_read(struct listing *listing, DIR *dir, const char *path, char **ret_error)
{
    char name[APP_NAME_MAX + 1];
    struct dirent *entry;
    int r;

    for (;;) {
        errno = 0;
        entry = readdir(dir);
        if (entry == NULL) {
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        r = name_of_file(entry->d_name, name)
                ? append_string(&listing->names, &listing->n, name)
                : append_string(&listing->others, &listing->n_others, entry->d_name);
        if (r < 0) {
            return util_fail(ret_error, r, "cannot read '%s': %s", path, strerror(-r));
        }
    }
    if (errno != 0) {
        r = -errno;
        return util_fail(ret_error, r, "cannot read '%s': %s", path, strerror(-r));
    }
    sort_strings(listing->names, listing->n);
    sort_strings(listing->others, listing->n_others);
    return 0;
}

/* All zeroes when there is no such directory. On an error nothing is left to free. */
static int listing_load(struct listing *ret_listing, const char *path, char **ret_error)
{
    struct listing listing = { 0 };
    CLEANUP_FREE char *why = NULL;
    CLEANUP_CLOSE int fd = -1;
    DIR *dir;
    int r;

    r = trust_open(path, TRUST_DIRECTORY, &fd, NULL, &why);
    if (r == -ENOENT) {
        *ret_listing = listing;
        return 0;
    }
    if (r == -EPERM) {
        return util_fail(ret_error, r, "'%s' is not trusted: %s", path, why == NULL ? "" : why);
    }
    if (r < 0) {
        return util_fail(ret_error, r, "%s", why == NULL ? strerror(-r) : why);
    }
    dir = fdopendir(fd);
    if (dir == NULL) {
        r = -errno;
        return util_fail(ret_error, r, "cannot read '%s': %s", path, strerror(-r));
    }
    fd = -1; /* is the DIR's now */
    r = listing_read(&listing, dir, path, ret_error);
    (void)closedir(dir);
    if (r < 0) {
        listing_free(&listing);
        return r;
    }
    *ret_listing = listing;
    return 0;
}

static char *apps_dir(const char *config_dir)
{
    char *path = NULL;

    return asprintf(&path, "%s/apps.d", config_dir) < 0 ? NULL : path;
}

static char *app_path(const char *config_dir, const char *name)
{
    char *path = NULL;

    return asprintf(&path, "%s/apps.d/%s" SUFFIX, config_dir, name) < 0 ? NULL : path;
}

static int take_names(struct apps *apps, const struct listing *listing)
{
    if (listing->n == 0) {
        return 0;
    }
    apps->list = calloc(listing->n, sizeof(*apps->list));
    if (apps->list == NULL) {
        return -ENOMEM;
    }
    for (; apps->n < listing->n; apps->n++) {
        (void)snprintf(apps->list[apps->n].name, sizeof(apps->list->name), "%s",
                       listing->names[apps->n]);
    }
    return 0;
}

static int take_plugin(struct app *app, const char *value, char **ret_error)
{
    /* one called "app" could have no section of its own */
    if (!app_name_valid(value) || strcmp(value, "app") == 0) {
        return util_fail(ret_error, -EINVAL, "'%s' is no name of a plugin", value);
    }
    app->plugin = strdup(value);
    return app->plugin == NULL ? -ENOMEM : 0;
}

static int take_app_key(struct app *app, const char *key, const char *value, char **ret_error)
{
    static const char *const known[] = { "plugin", "policy", "not-running" };
    const char *nearest;

    if (strcmp(key, "plugin") == 0) {
        return take_plugin(app, value, ret_error);
    }
    if (strcmp(key, "policy") == 0) {
        if (strcmp(value, "required") != 0 && strcmp(value, "optional") != 0) {
            return util_fail(ret_error, -EINVAL,
                             "'policy' is '%s', and must be required or optional", value);
        }
        app->policy = value[0] == 'r' ? APP_REQUIRED : APP_OPTIONAL;
        return 0;
    }
    if (strcmp(key, "not-running") == 0) {
        if (strcmp(value, "fail") != 0 && strcmp(value, "skip") != 0) {
            return util_fail(ret_error, -EINVAL, "'not-running' is '%s', and must be fail or skip",
                             value);
        }
        app->not_running = value[0] == 'f' ? APP_NOT_RUNNING_FAIL : APP_NOT_RUNNING_SKIP;
        return 0;
    }
    nearest = ini_file_nearest(key, known, ARRAY_SIZE(known));
    return util_fail(ret_error, -EINVAL, "unknown key '%s'%s%s%s", key,
                     nearest == NULL ? "" : ", did you mean '", nearest == NULL ? "" : nearest,
                     nearest == NULL ? "" : "'?");
}

/* A section other than [app]: there is one, and at the end it must be the plugin's. */
static int take_other_section(struct app_file *file, const char *section, unsigned line,
                              char **ret_error)
{
    if (file->section == NULL) {
        file->section = strdup(section);
        file->section_line = line;
        return file->section == NULL ? -ENOMEM : 0;
    }
    if (strcmp(file->section, section) != 0) {
        return util_fail(ret_error, -EINVAL, "there is a third section [%s], after [%s] in line %u",
                         section, file->section, file->section_line);
    }
    return 0;
}

static int take_key(void *data, const char *section, const char *key, const char *value,
                    unsigned line, char **ret_error)
{
    struct app_file *file = data;

    if (strcmp(section, "app") == 0) {
        return key == NULL ? 0 : take_app_key(&file->app, key, value, ret_error);
    }
    if (key == NULL) {
        return take_other_section(file, section, line, ret_error);
    }
    if (file->plugin == NULL || strcmp(section, file->plugin) != 0) {
        return 0;
    }
    return file->each(file->data, key, value, line, ret_error);
}

static void app_file_free(struct app_file *file)
{
    free(file->app.plugin);
    free(file->section);
}

/* @file says what to do with the keys of the plugin; app_file_free() it in any case. */
static int app_file_read(struct app_file *file, const char *path, struct stat *ret_stat,
                         char **ret_error)
{
    struct stat st;
    int r;

    r = ini_file_read(path, take_key, file, &st, ret_error);
    if (r < 0) {
        return r;
    }
    if (file->app.plugin == NULL) {
        return util_fail(ret_error, -EINVAL, "'%s' names no plugin: 'plugin' is missing in [app]",
                         path);
    }
    if (file->section != NULL && strcmp(file->section, file->app.plugin) != 0) {
        return util_fail(ret_error, -EINVAL,
                         "'%s' line %u: unknown section [%s], only [app] and [%s] are known", path,
                         file->section_line, file->section, file->app.plugin);
    }
    *ret_stat = st;
    return 0;
}

/* Fills in @app, whose name is set. -ENOMEM alone is an error. */
static int app_load(const char *config_dir, struct app *app)
{
    CLEANUP_FREE char *path = app_path(config_dir, app->name);
    struct app_file file = { 0 };
    struct stat st;
    int r;

    if (path == NULL) {
        return -ENOMEM;
    }
    r = app_file_read(&file, path, &st, &app->error);
    if (r == 0) {
        app->plugin = file.app.plugin;
        app->policy = file.app.policy;
        app->not_running = file.app.not_running;
        file.app.plugin = NULL;
    } else if (app->error == NULL) {
        r = -ENOMEM;
    }
    app_file_free(&file);
    return r == -ENOMEM ? r : 0;
}

/* A line for each of @listing's others; NULL when there is none. */
static int format_warnings(const struct listing *listing, const char *dir, char **ret_warnings)
{
    size_t shown = listing->n_others < WARNINGS_MAX ? listing->n_others : WARNINGS_MAX;
    char *text = NULL;
    size_t size = 0;
    FILE *stream;

    if (listing->n_others == 0) {
        *ret_warnings = NULL;
        return 0;
    }
    stream = open_memstream(&text, &size);
    if (stream == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < shown; i++) {
        char *name = wire_clean(listing->others[i]);

        (void)fprintf(stream,
                      "%s'%s/%s' is ignored: its name is not NAME.conf with NAME of "
                      "a-z, 0-9 and '-'",
                      i == 0 ? "" : "\n", dir, name == NULL ? "?" : name);
        free(name);
    }
    if (shown < listing->n_others) {
        (void)fprintf(stream, "\n%zu more files of '%s' are ignored", listing->n_others - shown,
                      dir);
    }
    if (fclose(stream) != 0) {
        free(text);
        return -ENOMEM;
    }
    *ret_warnings = text;
    return 0;
}

int apps_names(const char *config_dir, struct apps *ret_apps, char **ret_error)
{
    CLEANUP_FREE char *path = apps_dir(config_dir);
    struct apps apps = { 0 };
    struct listing listing = { 0 };
    int r;

    if (path == NULL) {
        return util_fail(ret_error, -ENOMEM, "cannot read apps.d: %s", strerror(ENOMEM));
    }
    r = listing_load(&listing, path, ret_error);
    if (r < 0) {
        return r;
    }
    r = format_warnings(&listing, path, &apps.warnings);
    if (r == 0) {
        r = take_names(&apps, &listing);
    }
    listing_free(&listing);
    if (r < 0) {
        apps_free(&apps);
        return util_fail(ret_error, r, "cannot read '%s': %s", path, strerror(-r));
    }
    *ret_apps = apps;
    return 0;
}

static int apps_fill(struct apps *apps, const struct listing *listing, const char *config_dir,
                     const char *dir)
{
    int r = format_warnings(listing, dir, &apps->warnings);

    if (r == 0) {
        r = take_names(apps, listing);
    }
    for (size_t i = 0; i < apps->n && r == 0; i++) {
        r = app_load(config_dir, &apps->list[i]);
    }
    return r;
}

int apps_load(const char *config_dir, struct apps *ret_apps, char **ret_error)
{
    CLEANUP_FREE char *dir = apps_dir(config_dir);
    struct apps apps = { 0 };
    struct listing listing = { 0 };
    int r;

    if (dir == NULL) {
        return util_fail(ret_error, -ENOMEM, "cannot read apps.d: %s", strerror(ENOMEM));
    }
    r = listing_load(&listing, dir, ret_error);
    if (r < 0) {
        return r;
    }
    if (listing.n > APPS_MAX) {
        r = util_fail(ret_error, -E2BIG, "'%s' has %zu apps, and at most %d are possible", dir,
                      listing.n, APPS_MAX);
        listing_free(&listing);
        return r;
    }
    r = apps_fill(&apps, &listing, config_dir, dir);
    listing_free(&listing);
    if (r < 0) {
        apps_free(&apps);
        return util_fail(ret_error, r, "cannot read '%s': %s", dir, strerror(-r));
    }
    *ret_apps = apps;
    return 0;
}

void apps_free(struct apps *apps)
{
    for (size_t i = 0; i < apps->n; i++) {
        free(apps->list[i].plugin);
        free(apps->list[i].error);
    }
    free(apps->list);
    free(apps->warnings);
    *apps = (struct apps){ 0 };
}

int app_load_section(const char *config_dir, const char *name, const char *plugin, app_key_fn *each,
                     void *data, bool *ret_public, char **ret_error)
{
    CLEANUP_FREE char *path = NULL;
    struct app_file file = { .plugin = plugin, .each = each, .data = data };
    struct stat st;
    int r;

    /* The name makes the path: it must not lead out of the directory. */
    if (!app_name_valid(name)) {
        return util_fail(ret_error, -EINVAL, "that is no name of an app");
    }
    path = app_path(config_dir, name);
    if (path == NULL) {
        return util_fail(ret_error, -ENOMEM, "cannot read app '%s': %s", name, strerror(ENOMEM));
    }
    r = app_file_read(&file, path, &st, ret_error);
    if (r == 0 && strcmp(file.app.plugin, plugin) != 0) {
        r = util_fail(ret_error, -ESTALE, "'%s' has changed: its plugin is '%s' now, not '%s'",
                      path, file.app.plugin, plugin);
    }
    if (r == 0) {
        *ret_public = (st.st_mode & S_IROTH) != 0;
    }
    app_file_free(&file);
    return r;
}
