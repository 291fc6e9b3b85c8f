/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "child.h"
#include "pending.h"
#include "trust.h"
#include "util.h"
#include "wire.h"

#define PENDING_VERSION 2
#define PENDING_LIST "scripts.json"
#define PENDING_LIST_NEW "scripts.json.tmp"
#define PENDING_LOCK "lock"
#define LOCK_AGAIN_MS 20
#define FILE_MAX (WIRE_FRAME_MAX / 2) /* longer, and it is written anew */

#define VERB_FREEZE "freeze"
#define VERB_THAW "thaw"
#define VERB_NONE "none"

static char *pending_path(const char *directory, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

bool pending_exists(const char *runtime_dir)
{
    CLEANUP_FREE char *path = NULL;
    struct stat st;

    if (asprintf(&path, "%s-hook/%s", runtime_dir, PENDING_LIST) < 0) {
        path = NULL;
        return true;
    }
    return stat(path, &st) == 0 || errno != ENOENT;
}

bool pending_running(const struct pending_script *script)
{
    return script->pid > 0 && child_runs(script->pid, script->alive_at);
}

static void pending_clear(struct pending *pending)
{
    for (size_t i = 0; i < pending->n; i++) {
        free(pending->list[i].path);
    }
    free(pending->list);
    pending->list = NULL;
    pending->n = 0;
}

void pending_close(struct pending *pending)
{
    pending_clear(pending);
    free(pending->directory);
    pending->directory = NULL;
    pending->lock = util_close(pending->lock);
    pending->file = util_close(pending->file);
}

static struct pending_script *find(const struct pending *pending, const char *path)
{
    for (size_t i = 0; i < pending->n; i++) {
        if (strcmp(pending->list[i].path, path) == 0) {
            return &pending->list[i];
        }
    }
    return NULL;
}

const struct pending_script *pending_lookup(const struct pending *pending, const char *path)
{
    return find(pending, path);
}

/* Takes @path over when it succeeds. */
static int append(struct pending *pending, const struct pending_script *script)
{
    struct pending_script *list;

    if (pending->n >= PENDING_MAX) {
        return -E2BIG;
    }
    list = reallocarray(pending->list, pending->n + 1, sizeof(*list));
    if (list == NULL) {
        return -ENOMEM;
    }
    pending->list = list;
    pending->list[pending->n++] = *script;
    return 0;
}

/* Without it, nothing is changed. */
static void forget(struct pending *pending, struct pending_script *script)
{
    size_t behind;

    if (script == NULL) {
        return;
    }
    behind = pending->n - 1 - (size_t)(script - pending->list);
    free(script->path);
    memmove(script, script + 1, behind * sizeof(*script));
    pending->n--;
}

/* Makes @script what is remembered of @path. */
static int replace(struct pending *pending, const char *path, struct pending_script script)
{
    struct pending_script *old = find(pending, path);
    int r;

    if (old != NULL) {
        script.path = old->path;
        *old = script;
        return 0;
    }
    script.path = strdup(path);
    if (script.path == NULL) {
        return -ENOMEM;
    }
    r = append(pending, &script);
    if (r < 0) {
        free(script.path);
    }
    return r;
}

static int load_change(struct pending *pending, json_object *object)
{
    struct pending_script script = { .weight = SCRIPT_LENIENT };
    const char *path;
    const char *verb;
    bool strict;
    uint64_t pid;

    if (!json_object_is_type(object, json_type_object) ||
        wire_get_string(object, "path", &path) < 0 || path[0] != '/' ||
        wire_get_string(object, "verb", &verb) < 0) {
        return -EBADMSG;
    }
    if (strcmp(verb, VERB_NONE) == 0) {
        forget(pending, find(pending, path));
        return 0;
    }
    if (wire_get_bool(object, "strict", &strict) < 0 || wire_get_uint(object, "pid", &pid) < 0 ||
        pid > INT32_MAX || wire_get_uint(object, "alive_at", &script.alive_at) < 0) {
        return -EBADMSG;
    }
    script.pid = (pid_t)pid;
    script.verb = strcmp(verb, VERB_THAW) == 0 ? PENDING_THAW : PENDING_FREEZE;
    script.weight = strict ? SCRIPT_STRICT : SCRIPT_LENIENT;
    return replace(pending, path, script);
}

/* The first line is the version, each other one a change. */
static int load_line(struct pending *pending, const char *text, size_t n, bool first)
{
    json_object *object;
    uint64_t version;
    int r = wire_parse(text, n, &object);

    if (r < 0) {
        return r;
    }
    if (!first) {
        r = load_change(pending, object);
    } else if (wire_get_uint(object, "version", &version) < 0 || version != PENDING_VERSION) {
        r = -EBADMSG;
    }
    json_object_put(object);
    return r;
}

static int load_lines(struct pending *pending, const char *text, size_t n)
{
    const char *end = text + n;
    bool first = true;
    int r = 0;

    for (const char *line = text; r == 0; first = false) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));

        if (newline == NULL) {
            return first ? -EBADMSG : 0; /* nothing was done yet on a line cut short */
        }
        r = load_line(pending, line, (size_t)(newline - line), first);
        line = newline + 1;
    }
    return r;
}

static int load_file(struct pending *pending, int fd)
{
    char *text = malloc(WIRE_FRAME_MAX);
    ssize_t n;
    int r;

    if (text == NULL) {
        return -ENOMEM;
    }
    n = read(fd, text, WIRE_FRAME_MAX);
    r = n < 0 ? -EBADMSG : load_lines(pending, text, (size_t)n);
    free(text);
    return r;
}

static int pending_load(struct pending *pending, char **ret_error)
{
    CLEANUP_FREE char *path = pending_path(pending->directory, PENDING_LIST);
    CLEANUP_FREE char *why = NULL;
    CLEANUP_CLOSE int fd = -1;
    struct stat st;
    int r;

    if (path == NULL) {
        return -ENOMEM;
    }
    r = trust_open(path, TRUST_FILE, &fd, &st, &why);
    if (r == -ENOENT) {
        return 0;
    }
    if (r < 0) {
        (void)util_fail(ret_error, r, "%s", why != NULL ? why : strerror(-r));
        return -EBADMSG;
    }
    r = load_file(pending, fd);
    if (r < 0) {
        pending_clear(pending);
        return util_fail(ret_error, r, "cannot understand '%s', the list of frozen scripts", path);
    }
    return 0;
}

static int make_directory(struct pending *pending, char **ret_error)
{
    CLEANUP_FREE char *why = NULL;
    CLEANUP_CLOSE int fd = -1;
    int r;

    if (mkdir(pending->directory, 0700) < 0 && errno != EEXIST) {
        r = -errno;
        return util_fail(ret_error, r, "cannot make '%s': %s", pending->directory, strerror(-r));
    }
    r = trust_open(pending->directory, TRUST_DIRECTORY, &fd, NULL, &why);
    if (r < 0) {
        return util_fail(ret_error, r, "%s", why != NULL ? why : strerror(-r));
    }
    return 0;
}

/* A process' lock: a child that hangs does not keep it. */
static int take_lock(struct pending *pending, int wake_fd, uint64_t deadline, char **ret_error)
{
    struct pollfd wake = { .fd = wake_fd, .events = POLLIN };

    for (;;) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        int r;

        if (fcntl(pending->lock, F_SETLK, &lock) == 0) {
            return 0;
        }
        r = -errno;
        if (r != -EAGAIN && r != -EACCES) {
            return util_fail(ret_error, r, "cannot lock '%s': %s", pending->directory,
                             strerror(-r));
        }
        if (now_usec() >= deadline) {
            (void)fcntl(pending->lock, F_GETLK, &lock);
            return util_fail(ret_error, -ETIMEDOUT,
                             "another fsfreeze-hook (pid %ld) is still busy with its scripts",
                             (long)lock.l_pid);
        }
        if (poll(&wake, 1, LOCK_AGAIN_MS) > 0) {
            return util_fail(ret_error, -EINTR,
                             "interrupted while waiting for another fsfreeze-hook");
        }
    }
}

int pending_open(const char *runtime_dir, int wake_fd, uint64_t deadline,
                 struct pending *ret_pending, char **ret_error)
{
    struct pending pending = PENDING_NONE;
    CLEANUP_FREE char *path = NULL;
    int r;

    if (asprintf(&pending.directory, "%s-hook", runtime_dir) < 0) {
        pending.directory = NULL;
        return -ENOMEM;
    }
    path = pending_path(pending.directory, PENDING_LOCK);
    r = path != NULL ? make_directory(&pending, ret_error) : -ENOMEM;
    if (r == 0) {
        pending.lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (pending.lock < 0) {
            r = -errno;
            (void)util_fail(ret_error, r, "cannot open '%s': %s", path, strerror(-r));
        }
    }
    if (r == 0) {
        r = take_lock(&pending, wake_fd, deadline, ret_error);
    }
    if (r == 0) {
        r = pending_load(&pending, ret_error);
    }
    if (r < 0 && r != -EBADMSG) {
        pending_close(&pending);
        return r;
    }
    *ret_pending = pending;
    return r;
}

/* A change as a line, to be freed, or NULL. */
static char *describe(const struct pending_script *script, const char *verb)
{
    json_object *object = json_object_new_object();
    char *line = NULL;

    if (object == NULL) {
        return NULL;
    }
    (void)json_object_object_add(object, "path", json_object_new_string(script->path));
    (void)json_object_object_add(object, "verb", json_object_new_string(verb));
    (void)json_object_object_add(object, "strict",
                                 json_object_new_boolean(script->weight == SCRIPT_STRICT));
    (void)json_object_object_add(object, "pid", json_object_new_int64(script->pid));
    (void)json_object_object_add(object, "alive_at",
                                 json_object_new_int64((int64_t)script->alive_at));
    if (asprintf(&line, "%s\n", json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN)) <
        0) {
        line = NULL;
    }
    json_object_put(object);
    return line;
}

static char *describe_now(const struct pending_script *script)
{
    return describe(script, script->verb == PENDING_THAW ? VERB_THAW : VERB_FREEZE);
}

/* In one piece: a hook that is killed leaves no half a line behind. */
static int add_line(struct pending *pending, const char *line)
{
    size_t n = line != NULL ? strlen(line) : 0;
    ssize_t written;

    if (line == NULL) {
        return -ENOMEM;
    }
    written = write(pending->file, line, n);
    if (written < 0) {
        return -errno;
    }
    pending->size += (size_t)written;
    return (size_t)written == n ? 0 : -ENOSPC;
}

static int add_all(struct pending *pending)
{
    char head[32];
    int r;

    (void)snprintf(head, sizeof(head), "{\"version\":%d}\n", PENDING_VERSION);
    r = add_line(pending, head);
    for (size_t i = 0; i < pending->n && r == 0; i++) {
        CLEANUP_FREE char *line = describe_now(&pending->list[i]);

        r = add_line(pending, line);
    }
    return r;
}

/* The file anew, beside the old one until it is complete. */
static int pending_save(struct pending *pending)
{
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW;
    CLEANUP_FREE char *path = pending_path(pending->directory, PENDING_LIST);
    CLEANUP_FREE char *path_new = pending_path(pending->directory, PENDING_LIST_NEW);
    int r;

    pending->file = util_close(pending->file);
    pending->size = 0;
    if (path == NULL || path_new == NULL) {
        return -ENOMEM;
    }
    if (pending->n == 0) {
        return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
    }
    pending->file = open(path_new, flags, 0600);
    if (pending->file < 0) {
        return -errno;
    }
    r = add_all(pending);
    if (r == 0 && rename(path_new, path) < 0) {
        r = -errno;
    }
    if (r < 0) {
        pending->file = util_close(pending->file);
    }
    return r;
}

/* @line is what has changed. */
static int pending_note(struct pending *pending, const char *line)
{
    if (pending->file < 0 || pending->n == 0 || pending->size > FILE_MAX ||
        add_line(pending, line) < 0) {
        return pending_save(pending);
    }
    return 0;
}

int pending_set(struct pending *pending, const char *path, enum script_weight weight,
                enum pending_verb verb, pid_t pid)
{
    struct pending_script script = {
        .weight = weight,
        .verb = verb,
        .pid = pid,
        .alive_at = child_clock(),
    };
    CLEANUP_FREE char *line = NULL;
    int r;

    if (pending->directory == NULL) {
        return 0;
    }
    r = replace(pending, path, script);
    if (r < 0) {
        return r;
    }
    line = describe_now(find(pending, path));
    return pending_note(pending, line);
}

int pending_remove(struct pending *pending, const char *path)
{
    struct pending_script *script = find(pending, path);
    CLEANUP_FREE char *line = NULL;

    if (pending->directory == NULL || script == NULL) {
        return 0;
    }
    line = describe(script, VERB_NONE);
    forget(pending, script);
    return pending_note(pending, line);
}
