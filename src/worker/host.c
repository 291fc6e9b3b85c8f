/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "trust.h"
#include "util.h"
#include "wire.h"

/* The api is the first member of a host, and the plugin was given no other. */
static struct host *host_of(const struct quiesced_host *api)
{
    return (struct host *)(uintptr_t)api;
}

/* What a plugin says may come from its server: bounded, and without control
 * characters. NULL without memory. */
__attribute__((format(printf, 1, 0))) static char *text_format(const char *format,
                                                               va_list arguments)
{
    CLEANUP_FREE char *raw = NULL;

    if (vasprintf(&raw, format, arguments) < 0) {
        raw = NULL;
        return NULL;
    }
    return wire_clean(raw);
}

static void text_replace(char **text, char *with)
{
    free(*text);
    *text = with;
}

void host_error(const struct quiesced_host *api, const char *format, ...)
{
    struct host *host = host_of(api);
    va_list arguments;

    if (host->error != NULL) {
        return;
    }
    va_start(arguments, format);
    host->error = text_format(format, arguments);
    va_end(arguments);
}

void host_error_prefix(struct host *host, const char *format, ...)
{
    CLEANUP_FREE char *prefix = NULL;
    CLEANUP_FREE char *both = NULL;
    va_list arguments;

    if (host->error == NULL) {
        return;
    }
    va_start(arguments, format);
    prefix = text_format(format, arguments);
    va_end(arguments);
    if (prefix == NULL || asprintf(&both, "%s: %s", prefix, host->error) < 0) {
        both = NULL; /* without memory the reason alone has to do */
        return;
    }
    text_replace(&host->error, wire_clean(both));
}

void host_error_forget(struct host *host)
{
    text_replace(&host->error, NULL);
}

static const char *level_name(enum quiesced_level level)
{
    switch (level) {
    case QUIESCED_DEBUG:
        return "debug";
    case QUIESCED_INFO:
        return "info";
    case QUIESCED_WARNING:
        return "warning";
    }
    return "warning"; /* the level came from a plugin */
}

/* Lost when the socket is full: a daemon that does not read must not stop a hold. */
__attribute__((format(printf, 3, 4))) static void host_log(const struct quiesced_host *api,
                                                           enum quiesced_level level,
                                                           const char *format, ...)
{
    CLEANUP_FREE char *text = NULL;
    json_object *packet;
    va_list arguments;

    va_start(arguments, format);
    text = text_format(format, arguments);
    va_end(arguments);
    packet = json_object_new_object();
    if (text != NULL && packet != NULL) {
        (void)json_object_object_add(packet, "log", json_object_new_string(level_name(level)));
        (void)json_object_object_add(packet, "message", json_object_new_string(text));
        (void)wire_send(host_of(api)->fd, packet);
    }
    (void)json_object_put(packet);
}

static void host_server(const struct quiesced_host *api, const char *version)
{
    text_replace(&host_of(api)->server, version == NULL ? NULL : wire_clean(version));
}

static void host_method(const struct quiesced_host *api, const char *method)
{
    text_replace(&host_of(api)->method, method == NULL ? NULL : wire_clean(method));
}

/* [a-z0-9-]{1,32} */
static bool key_valid(const char *key)
{
    size_t n = strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return n > 0 && n <= HOST_KEY_MAX && key[n] == '\0';
}

static void host_coordinate(const struct quiesced_host *api, const char *key, const char *value)
{
    struct host *host = host_of(api);
    CLEANUP_FREE char *text = NULL;
    json_object *old = NULL;
    size_t size;

    if (key == NULL || value == NULL || !key_valid(key)) {
        host_log(api, QUIESCED_WARNING, "a coordinate was left out: '%.*s' is no key",
                 2 * HOST_KEY_MAX, key == NULL ? "" : key);
        return;
    }
    if (strlen(value) > HOST_VALUE_MAX) {
        /* a piece of a GTID set would pass for a whole one */
        host_log(api, QUIESCED_WARNING, "the coordinate '%s' was left out: %zu bytes are too many",
                 key, strlen(value));
        return;
    }
    text = wire_clean(value);
    if (text == NULL) {
        return;
    }
    size = host->coordinates_size + strlen(text);
    if (json_object_object_get_ex(host->coordinates, key, &old)) {
        size -= (size_t)json_object_get_string_len(old);
    } else if (json_object_object_length(host->coordinates) >= HOST_COORDINATES_MAX) {
        size = SIZE_MAX;
    }
    if (size > HOST_COORDINATES_SIZE) {
        host_log(api, QUIESCED_WARNING, "the coordinate '%s' was left out: there are too many",
                 key);
        return;
    }
    host->coordinates_size = size;
    (void)json_object_object_add(host->coordinates, key, json_object_new_string(text));
}

static uint32_t host_left_ms(const struct quiesced_host *api, uint64_t deadline)
{
    (void)api;
    return (uint32_t)deadline_ms(deadline);
}

/* While a phase runs the daemon says nothing but "abort", and nothing but its end
 * or that makes the socket readable. */
static int host_cancel_fd(const struct quiesced_host *api)
{
    return host_of(api)->fd;
}

/* A file name alone is a credential that systemd has laid down for the service. */
static int path_complete(const struct quiesced_host *api, const char *path, uint32_t flags,
                         char **ret_path)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    char *complete;

    if ((flags & QUIESCED_OPEN_SECRET) == 0 || strchr(path, '/') != NULL || path[0] == '\0' ||
        strcmp(path, ".") == 0 || strcmp(path, "..") == 0) {
        complete = strdup(path);
    } else if (directory == NULL || directory[0] == '\0') {
        host_error(api,
                   "'%s' is no absolute path, and the service has no credentials: it takes "
                   "LoadCredential=%s:FILE in a drop-in for quiesced.service",
                   path, path);
        return -ENOENT;
    } else if (asprintf(&complete, "%s/%s", directory, path) < 0) {
        complete = NULL;
    }
    if (complete == NULL) {
        host_error(api, "%s", strerror(ENOMEM));
        return -ENOMEM;
    }
    *ret_path = complete;
    return 0;
}

static int host_open_trusted(const struct quiesced_host *api, const char *path, uint32_t flags,
                             int *ret_fd)
{
    CLEANUP_FREE char *complete = NULL;
    CLEANUP_FREE char *why = NULL;
    CLEANUP_CLOSE int fd = -1;
    struct stat st;
    int r;

    r = path_complete(api, path, flags, &complete);
    if (r < 0) {
        return r;
    }
    r = trust_open(complete, TRUST_FILE, &fd, &st, &why);
    if (r < 0) {
        host_error(api, "%s", why != NULL ? why : strerror(-r));
        return r;
    }
    if ((flags & QUIESCED_OPEN_SECRET) != 0 && (st.st_mode & S_IROTH) != 0) {
        host_error(api, "'%s' holds a secret and can be read by others: chmod o= '%s'", complete,
                   complete);
        return -EPERM;
    }
    *ret_fd = fd;
    fd = -1;
    return 0;
}

int host_init(struct host *host, const char *app, int fd)
{
    *host = (struct host){
        .api = {
            .size = (uint32_t)sizeof(struct quiesced_host),
            .abi = QUIESCED_ABI,
            .app = app,
            .error = host_error,
            .log = host_log,
            .server = host_server,
            .method = host_method,
            .coordinate = host_coordinate,
            .left_ms = host_left_ms,
            .cancel_fd = host_cancel_fd,
            .open_trusted = host_open_trusted,
        },
        .fd = fd,
        .coordinates = json_object_new_object(),
    };
    return host->coordinates == NULL ? -ENOMEM : 0;
}

void host_clear(struct host *host)
{
    free(host->error);
    free(host->server);
    free(host->method);
    (void)json_object_put(host->coordinates);
    *host = (struct host){ .fd = -1 };
}
