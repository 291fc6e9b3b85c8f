/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <dirent.h>
#include <sys/stat.h>

#include "scripts.h"
#include "trust.h"
#include "util.h"

bool scripts_ignored(const char *name)
{
    static const char *const endings[] = {
        "~",          ".bak",      ".orig",        ".rpmnew",      ".rpmorig",
        ".rpmsave",   ".sample",   ".dpkg-old",    ".dpkg-new",    ".dpkg-tmp",
        ".dpkg-dist", ".dpkg-bak", ".dpkg-backup", ".dpkg-remove",
    };
    size_t n = strlen(name);

    if (name[0] == '.') {
        return true; /* the shell's * does not match it */
    }
    for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
        size_t n_ending = strlen(endings[i]);

        if (n >= n_ending && strcmp(name + n - n_ending, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

void scripts_free(struct scripts *scripts)
{
    for (size_t i = 0; i < scripts->n; i++) {
        free(scripts->list[i].path);
        free(scripts->list[i].refused);
    }
    free(scripts->list);
    *scripts = (struct scripts){ 0 };
}

const struct script *scripts_lookup(const struct scripts *scripts, const char *path)
{
    for (size_t i = 0; i < scripts->n; i++) {
        if (strcmp(scripts->list[i].path, path) == 0) {
            return &scripts->list[i];
        }
    }
    return NULL;
}

static bool scripts_have(const struct scripts *scripts, const struct stat *st)
{
    for (size_t i = 0; i < scripts->n; i++) {
        if (scripts->list[i].refused == NULL && scripts->list[i].device == st->st_dev &&
            scripts->list[i].inode == st->st_ino) {
            return true;
        }
    }
    return false;
}

/* @refused may be NULL. */
static int scripts_append(struct scripts *scripts, const char *path, enum script_weight weight,
                          const struct stat *st, const char *refused)
{
    struct script script = { .weight = weight, .device = st->st_dev, .inode = st->st_ino };
    struct script *list = reallocarray(scripts->list, scripts->n + 1, sizeof(*list));

    if (list == NULL) {
        return -ENOMEM;
    }
    scripts->list = list;
    script.path = strdup(path);
    script.refused = refused != NULL ? strdup(refused) : NULL;
    if (script.path == NULL || (refused != NULL && script.refused == NULL)) {
        free(script.path);
        free(script.refused);
        return -ENOMEM;
    }
    scripts->list[scripts->n++] = script;
    return 0;
}

int scripts_add_refused(struct scripts *scripts, const char *path, enum script_weight weight,
                        const char *why)
{
    const struct stat nothing = { 0 };

    return scripts_append(scripts, path, weight, &nothing, why);
}

static bool is_executable(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0;
}

/* @r is what opening it came to, and why. */
static int scripts_take(struct scripts *scripts, const char *path, enum script_weight weight,
                        const struct stat *st, int r, const char *why)
{
    if (r == -ENOMEM) {
        return r;
    }
    if (r < 0) {
        r = scripts_add_refused(scripts, path, weight, why != NULL ? why : strerror(-r));
        return r < 0 ? r : 1;
    }
    if (scripts_have(scripts, st)) {
        return 0;
    }
    r = scripts_append(scripts, path, weight, st, NULL);
    return r < 0 ? r : 1;
}

int scripts_add(struct scripts *scripts, const char *path, enum script_weight weight)
{
    CLEANUP_FREE char *why = NULL;
    CLEANUP_CLOSE int fd = -1;
    struct stat st;
    int r;

    if (!is_executable(path)) {
        return 0;
    }
    r = trust_open(path, TRUST_FILE, &fd, &st, &why);
    return scripts_take(scripts, path, weight, &st, r, why);
}

/* The same for @name in @directory, which is open and trusted: its parents were judged. */
static int scripts_add_in(struct scripts *scripts, int directory_fd, const char *directory,
                          const char *name, enum script_weight weight)
{
    CLEANUP_FREE char *path = NULL;
    CLEANUP_FREE char *why = NULL;
    CLEANUP_CLOSE int fd = -1;
    struct stat st;
    int r;

    if (asprintf(&path, "%s/%s", directory, name) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    if (directory_fd < 0) { /* its file's refusal says why */
        return scripts_add(scripts, path, weight);
    }
    if (!is_executable(path)) {
        return 0;
    }
    r = trust_open_at(directory_fd, directory, name, TRUST_FILE, &fd, &st, &why);
    return scripts_take(scripts, path, weight, &st, r, why);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(names[i]);
    }
    free(names);
}

/* The names that count. 0 or -errno. */
static int read_names(const char *directory, char ***ret_names, size_t *ret_n)
{
    DIR *dir = opendir(directory);
    char **names = NULL;
    size_t n = 0;
    int r = 0;

    if (dir == NULL) {
        return -errno;
    }
    for (;;) {
        const struct dirent *entry;
        char **more;

        errno = 0;
        entry = readdir(dir);
        if (entry == NULL) {
            r = -errno;
            break;
        }
        if (scripts_ignored(entry->d_name)) {
            continue;
        }
        more = reallocarray(names, n + 1, sizeof(*names));
        if (more == NULL) {
            r = -ENOMEM;
            break;
        }
        names = more;
        names[n] = strdup(entry->d_name);
        if (names[n] == NULL) {
            r = -ENOMEM;
            break;
        }
        n++;
    }
    (void)closedir(dir);
    if (r < 0) {
        free_names(names, n);
        return r;
    }
    if (n > 0) {
        qsort(names, n, sizeof(*names), by_name);
    }
    *ret_names = names;
    *ret_n = n;
    return 0;
}

static int add_directory(struct scripts *scripts, const char *directory, enum script_weight weight)
{
    CLEANUP_CLOSE int fd = -1;
    char **names = NULL;
    size_t n = 0;
    int r = read_names(directory, &names, &n);

    if (r == -ENOENT || r == -ENOMEM) {
        return r == -ENOMEM ? r : 0;
    }
    if (r < 0) {
        return scripts_add_refused(scripts, directory, weight, strerror(-r));
    }
    if (n > 0) {
        (void)trust_open(directory, TRUST_DIRECTORY, &fd, NULL, NULL);
    }
    for (size_t i = 0; i < n && r >= 0; i++) {
        if (scripts->n >= SCRIPTS_MAX) {
            r = scripts_add_refused(scripts, directory, weight, "too many scripts");
            break;
        }
        r = scripts_add_in(scripts, fd, directory, names[i], weight);
    }
    free_names(names, n);
    return r < 0 ? r : 0;
}

int scripts_find(const char *directories, enum legacy_scripts legacy, struct scripts *ret_scripts)
{
    struct scripts scripts = { 0 };
    enum script_weight weight = SCRIPT_STRICT;
    CLEANUP_FREE char *copy = strdup(directories);
    char *rest = copy;
    char *directory;
    int r = copy != NULL ? 0 : -ENOMEM;

    while (r == 0 && (directory = strsep(&rest, ":")) != NULL) {
        if (directory[0] != '\0') {
            r = add_directory(&scripts, directory, weight);
        }
        if (legacy == LEGACY_SCRIPTS_OFF) {
            break;
        }
        weight = legacy == LEGACY_SCRIPTS_FAIL ? SCRIPT_STRICT : SCRIPT_LENIENT;
    }
    if (r < 0) {
        scripts_free(&scripts);
        return r;
    }
    *ret_scripts = scripts;
    return 0;
}
