/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "layout.h"

#define SQL_TABLESPACES                                               \
    "SELECT spcname, pg_tablespace_location(oid) FROM pg_tablespace " \
    "WHERE pg_tablespace_location(oid) LIKE '/%'"

struct layout {
    struct client *client;
    const struct quiesced_host *host;
    const char *data; /* the data directory, without symbolic links */
    dev_t device;     /* it is on */
    uint64_t deadline;
};

/* @path and a field of mountinfo, in which \040 is a blank */
static bool field_is(const char *field, size_t length, const char *path)
{
    size_t i = 0;

    while (i < length && *path != '\0') {
        char c = field[i];

        if (c == '\\' && i + 3 < length) {
            c = (char)((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 + field[i + 3] - '0');
            i += 3;
        }
        if (c != *path++) {
            return false;
        }
        i++;
    }
    return i == length && *path == '\0';
}

bool layout_line_mounts(const char *line, const char *path)
{
    /* 36 35 98:0 /root /mount/point options ... */
    for (int field = 0; field < 4; field++) {
        line += strcspn(line, " ");
        line += strspn(line, " ");
    }
    return field_is(line, strcspn(line, " "), path);
}

static bool is_mount_point(const char *path)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t size = 0;
    bool found = false;

    if (file == NULL) {
        return false;
    }
    while (!found && getline(&line, &size, file) > 0) {
        found = layout_line_mounts(line, path);
    }
    free(line);
    (void)fclose(file);
    return found;
}

static void warn_elsewhere(const struct layout *layout, const char *what, const char *path)
{
    layout->host->log(layout->host, QUIESCED_WARNING,
                      "%s in '%s' is on another filesystem than the data directory '%s': the "
                      "snapshot must have both at the same instant",
                      what, path, layout->data);
}

static int check_tablespaces(const struct layout *layout)
{
    CLEANUP_ROWS struct client_rows *rows = NULL;
    int r = client_query(layout->client, SQL_TABLESPACES, layout->deadline, &rows);

    if (r < 0) {
        return r;
    }
    for (unsigned int i = 0; client_rows_width(rows) == 2 && i < client_rows_count(rows); i++) {
        const char *name = client_rows_get(rows, i, 0);
        const char *path = client_rows_get(rows, i, 1);
        char what[160];
        struct stat st;

        if (name == NULL || path == NULL) {
            continue;
        }
        (void)snprintf(what, sizeof(what), "the tablespace '%s'", name);
        if (stat(path, &st) < 0) {
            layout->host->log(layout->host, QUIESCED_INFO,
                              "%s in '%s' may be on another filesystem than the data directory: %s",
                              what, path, strerror(errno));
        } else if (st.st_dev != layout->device) {
            warn_elsewhere(layout, what, path);
        }
    }
    return 0;
}

/*
 * The data directory is its owner's alone as a rule, and the server tells nobody whether
 * pg_wal is a symbolic link. A mount is seen by everybody.
 */
static void check_wal(const struct layout *layout)
{
    char path[PATH_MAX + sizeof("/pg_wal")];
    struct stat st;
    int error;

    (void)snprintf(path, sizeof(path), "%s/pg_wal", layout->data);
    if (stat(path, &st) == 0) {
        if (st.st_dev != layout->device) {
            warn_elsewhere(layout, "the log", path);
        }
        return;
    }
    error = errno;
    if (is_mount_point(path)) {
        warn_elsewhere(layout, "the log", path);
        return;
    }
    layout->host->log(layout->host, QUIESCED_INFO,
                      "whether the log in '%s' is on another filesystem is not known: %s", path,
                      strerror(error));
}

int layout_warn(struct client *client, const struct quiesced_host *host,
                const struct server *server, uint64_t deadline)
{
    struct layout layout = { .client = client, .host = host, .deadline = deadline };
    char real[PATH_MAX];
    struct stat st;
    int r;

    if (server->data_directory[0] == '\0') {
        host->log(host, QUIESCED_INFO,
                  "whether all of the server is on one filesystem is not known; to see its data "
                  "directory: GRANT pg_read_all_settings TO %s",
                  server->account);
        return 0;
    }
    if (realpath(server->data_directory, real) == NULL || stat(real, &st) < 0) {
        host->log(host, QUIESCED_INFO,
                  "whether all of the server is on one filesystem is not known: cannot look at "
                  "its data directory '%s': %s",
                  server->data_directory, strerror(errno));
        return 0;
    }
    layout.data = real;
    layout.device = st.st_dev;
    check_wal(&layout);
    r = check_tablespaces(&layout);
    if (r == -EREMOTEIO) {
        host->log(host, QUIESCED_INFO, "where the tablespaces are is not known: %s",
                  client_error(client));
        return 0;
    }
    return r;
}
