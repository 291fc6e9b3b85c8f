/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "record.h"
#include "record_join.h"
#include "util.h"
#include "wire.h"

#define TURN_USEC (300 * USEC_PER_MSEC)
#define RECORD_FILE "record.json"
#define RECORD_FILE_NEW ".record.json.tmp"
#define RECORD_PREVIOUS "previous.json"
#define RECORD_PREVIOUS_NEW ".previous.json.tmp"

static void record_set(struct record *record, const char *key, json_object *value)
{
    if (json_object_object_add(record->object, key, value) < 0) {
        json_object_put(value);
    }
}

static void record_set_text(struct record *record, const char *key, const char *text)
{
    record_set(record, key, text != NULL ? json_object_new_string(text) : NULL);
}

/* The one line of a file of the kernel's or of systemd's. */
static void record_set_line(struct record *record, const char *key, const char *path)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    char line[128];
    ssize_t n = fd >= 0 ? read(fd, line, sizeof(line) - 1) : -1;
    CLEANUP_FREE char *clean = NULL;

    if (n > 0) {
        line[n] = '\0';
        line[strcspn(line, "\n")] = '\0';
        clean = wire_clean(line);
    }
    record_set_text(record, key, clean);
}

int record_init(struct record *record)
{
    record->object = json_object_new_object();
    if (record->object == NULL) {
        return -ENOMEM;
    }
    record_set(record, "version", json_object_new_int(RECORD_VERSION));
    record_set_state(record, RECORD_FAILED, RECORD_NO_VERDICT);
    record_set_text(record, "cycle", NULL);
    record_set_text(record, "boot_id", NULL); /* read when it is written */
    record_set_text(record, "machine_id", NULL);
    record_set(record, "started", json_object_new_int64((int64_t)wall_usec()));
    record_set(record, "held_since", NULL);
    record_set(record, "finished", NULL);
    record_set_text(record, "reason", NULL);
    record_set(record, "apps", json_object_new_array());
    record_set(record, "scripts", json_object_new_array());
    record_set(record, "warnings", json_object_new_array());
    return 0;
}

void record_free(struct record *record)
{
    json_object_put(record->object);
    record->object = NULL;
}

static const char *record_state_name(enum record_state state)
{
    switch (state) {
    case RECORD_FAILED:
        return "failed";
    case RECORD_HELD:
        return "held";
    case RECORD_THAWED:
        return "thawed";
    }
    abort();
}

void record_set_state(struct record *record, enum record_state state, enum record_verdict verdict)
{
    json_object *consistent = NULL;

    if (verdict != RECORD_NO_VERDICT) {
        consistent = json_object_new_boolean(verdict == RECORD_CONSISTENT);
    }
    record_set_text(record, "state", record_state_name(state));
    record_set(record, "consistent", consistent);
    if (state != RECORD_HELD) {
        record_set(record, "finished", json_object_new_int64((int64_t)wall_usec()));
    }
}

void record_set_cycle(struct record *record, const char *cycle)
{
    record_set_text(record, "cycle", cycle);
}

void record_set_held_since(struct record *record, uint64_t usec)
{
    record_set(record, "held_since", json_object_new_int64((int64_t)usec));
}

void record_set_apps(struct record *record, json_object *apps)
{
    record_set(record, "apps", apps);
}

void record_add_reason(struct record *record, const char *reason)
{
    const char *before;
    CLEANUP_FREE char *both = NULL;

    if (wire_get_string(record->object, "reason", &before) < 0) {
        record_set_text(record, "reason", reason);
        return;
    }
    if (asprintf(&both, "%s; %s", before, reason) < 0) {
        both = NULL;
        return;
    }
    record_set_text(record, "reason", both);
}

void record_add_warning(struct record *record, const char *warning)
{
    json_object *warnings;
    json_object *text;

    if (wire_get_array(record->object, "warnings", &warnings) < 0 ||
        json_object_array_length(warnings) >= RECORD_WARNINGS_MAX) {
        return;
    }
    text = json_object_new_string(warning);
    if (json_object_array_add(warnings, text) < 0) {
        json_object_put(text);
    }
}

/* The path is a file's and the error a script's: neither needs to be UTF-8. */
void record_set_script(struct record *record, const char *path, const char *verb,
                       const char *result, uint64_t usec, const char *error)
{
    CLEANUP_FREE char *clean_path = wire_clean(path);
    CLEANUP_FREE char *clean_error = error != NULL ? wire_clean(error) : NULL;
    json_object *run = json_object_new_object();
    json_object *scripts;

    if (run == NULL || clean_path == NULL) {
        json_object_put(run);
        return;
    }
    (void)json_object_object_add(run, "result", json_object_new_string(result));
    (void)json_object_object_add(run, "usec", json_object_new_int64((int64_t)usec));
    (void)json_object_object_add(run, "error",
                                 clean_error != NULL ? json_object_new_string(clean_error) : NULL);
    if (wire_get_array(record->object, "scripts", &scripts) < 0 ||
        record_join_script(scripts, clean_path, verb, run) < 0) {
        json_object_put(run);
    }
}

bool record_is_empty(const struct record *record)
{
    json_object *apps = NULL;
    json_object *scripts = NULL;
    const char *reason;

    (void)wire_get_array(record->object, "apps", &apps);
    (void)wire_get_array(record->object, "scripts", &scripts);
    return (apps == NULL || json_object_array_length(apps) == 0) &&
           (scripts == NULL || json_object_array_length(scripts) == 0) &&
           wire_get_string(record->object, "reason", &reason) < 0;
}

static int record_open_directory(const struct record *record, const char *state_dir)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    int fd = open(state_dir, flags);

    if (fd >= 0 || errno != ENOENT || record_is_empty(record)) {
        return fd >= 0 ? fd : -errno;
    }
    if (mkdir(state_dir, 0755) < 0) {
        return -errno;
    }
    fd = open(state_dir, flags);
    return fd >= 0 ? fd : -errno;
}

/* The record that is there. 0 or -errno. */
static int record_read(int directory, json_object **ret_object)
{
    CLEANUP_CLOSE int fd =
        openat(directory, RECORD_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    CLEANUP_FREE char *text = NULL;
    struct stat st;
    size_t n = 0;

    if (fd < 0 || fstat(fd, &st) < 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > (off_t)RECORD_SIZE_MAX) {
        return -EBADMSG;
    }
    text = malloc((size_t)st.st_size);
    if (text == NULL) {
        return -ENOMEM;
    }
    while (n < (size_t)st.st_size) {
        ssize_t got = read(fd, text + n, (size_t)st.st_size - n);

        if (got <= 0) {
            return got < 0 ? -errno : -EBADMSG;
        }
        n += (size_t)got;
    }
    while (n > 0 && text[n - 1] == '\n') {
        n--;
    }
    return wire_parse(text, n, ret_object);
}

static int record_put(int fd, json_object *object)
{
    const int flags =
        JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;
    size_t n;
    const char *text = json_object_to_json_string_length(object, flags, &n);
    CLEANUP_FREE char *line = NULL;

    if (text == NULL || asprintf(&line, "%s\n", text) < 0) {
        line = NULL;
        return -ENOMEM;
    }
    for (size_t done = 0; done < n + 1;) {
        ssize_t written = write(fd, line + done, n + 1 - done);

        if (written < 0) {
            return -errno;
        }
        done += (size_t)written;
    }
    return 0;
}

static int record_write_new(int directory, json_object *object)
{
    CLEANUP_CLOSE int fd = -1;
    int r;

    (void)unlinkat(directory, RECORD_FILE_NEW, 0);
    fd = openat(directory, RECORD_FILE_NEW, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                0644);
    if (fd < 0) {
        return -errno;
    }
    r = record_put(fd, object);
    if (r < 0) {
        (void)unlinkat(directory, RECORD_FILE_NEW, 0);
    }
    return r;
}

/* For a filesystem that cannot exchange two files. record.json is there all the time, if
 * it knows links. */
static int record_rotate(int directory)
{
    int r = 0;

    (void)unlinkat(directory, RECORD_PREVIOUS_NEW, 0);
    if (linkat(directory, RECORD_FILE, directory, RECORD_PREVIOUS_NEW, 0) < 0) {
        if (errno == ENOENT) {
            return 0;
        }
        return renameat(directory, RECORD_FILE, directory, RECORD_PREVIOUS) < 0 ? -errno : 0;
    }
    if (renameat(directory, RECORD_PREVIOUS_NEW, directory, RECORD_PREVIOUS) < 0) {
        r = -errno;
    }
    /* two names of one file: then the rename has done nothing */
    (void)unlinkat(directory, RECORD_PREVIOUS_NEW, 0);
    return r;
}

static int record_replace(int directory, json_object *object, enum record_how how)
{
    int r = record_write_new(directory, object);

    if (r < 0) {
        if (how == RECORD_NEW) {
            (void)renameat(directory, RECORD_FILE, directory, RECORD_PREVIOUS);
        } else if (how == RECORD_AGAIN) {
            (void)unlinkat(directory, RECORD_FILE, 0);
        }
        return r;
    }
    if (how == RECORD_NEW) {
        if (renameat2(directory, RECORD_FILE_NEW, directory, RECORD_FILE, RENAME_EXCHANGE) == 0) {
            return renameat(directory, RECORD_FILE_NEW, directory, RECORD_PREVIOUS) < 0 ? -errno
                                                                                        : 0;
        }
        r = record_rotate(directory);
    }
    if (renameat(directory, RECORD_FILE_NEW, directory, RECORD_FILE) < 0) {
        return -errno;
    }
    return r;
}

static int record_join(const struct record *record, int directory)
{
    json_object *old = NULL;
    int r = record_read(directory, &old);

    if (r == 0 && record_join_matches(old, record->object)) {
        record_join_thaw(old, record->object);
        r = record_replace(directory, old, RECORD_JOIN);
    } else if (record_join_has_verdict(record->object)) {
        r = record_replace(directory, record->object, RECORD_NEW);
    } else {
        r = 0;
    }
    json_object_put(old);
    return r;
}

bool record_exists(const char *state_dir)
{
    CLEANUP_FREE char *path = NULL;
    struct stat st;

    if (asprintf(&path, "%s/" RECORD_FILE, state_dir) < 0) {
        path = NULL;
        return true;
    }
    return lstat(path, &st) == 0 || errno != ENOENT;
}

/* A thaw may meet a freeze that is being undone: one writes after the other. Whoever may
 * read the directory could keep the lock, so it is not waited for long, and not at all
 * while apps are held. */
static void record_await_turn(const struct record *record, int directory)
{
    uint64_t deadline = now_usec() + TURN_USEC;
    const char *state = "";

    (void)wire_get_string(record->object, "state", &state);
    if (strcmp(state, "held") == 0) {
        deadline = 0;
    }
    while (flock(directory, LOCK_EX | LOCK_NB) < 0 && now_usec() < deadline) {
        (void)poll(NULL, 0, 2);
    }
}

int record_write(struct record *record, const char *state_dir, enum record_how how)
{
    CLEANUP_CLOSE int directory = record_open_directory(record, state_dir);

    record_set_line(record, "boot_id", "/proc/sys/kernel/random/boot_id");
    record_set_line(record, "machine_id", "/etc/machine-id");
    if (directory < 0) {
        return directory == -ENOENT && record_is_empty(record) ? 0 : directory;
    }
    record_await_turn(record, directory);
    switch (how) {
    case RECORD_NEW:
    case RECORD_AGAIN:
        return record_replace(directory, record->object, how);
    case RECORD_JOIN:
        return record_join(record, directory);
    }
    abort();
}
