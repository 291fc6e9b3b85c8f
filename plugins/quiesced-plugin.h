/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quiesced-plugin.h: the one header that a plugin includes
 *
 * A plugin makes one kind of application hold still while the hypervisor takes
 * a disk snapshot, and lets it go afterwards. For every configured app and
 * every cycle a process of its own, the worker, loads the plugin and calls:
 *
 *     create  option*  ready       connects to nothing
 *     prepare                      slow, stops nobody
 *     freeze  check*  thaw         the hold
 *     abort                        in place of whatever is left, once
 *     destroy                      on a clean exit only
 *
 * What the worker relies on:
 *
 *  1. Callbacks run one at a time in one thread. They may block, and they
 *     return before their deadline. A worker that is late is killed with
 *     SIGKILL, and no callback runs any more.
 *  2. So hold the application only by what ends with the process: a session,
 *     a lock on an open descriptor. Never by a file or a setting that somebody
 *     would have to undo.
 *  3. A server may not notice that its client died while it executes a
 *     statement or waits for a lock. Set the server's own limits from the
 *     deadline, a little below it.
 *  4. Between freeze and thaw file systems may be frozen: write no file, start
 *     no process, and report through struct quiesced_host alone.
 *  5. A callback that fails calls host->error() once, with what was tried, on
 *     what, and why it failed, and returns -errno.
 *
 * Deadlines are absolute, in microseconds of CLOCK_MONOTONIC.
 * Strings that are passed in are copied by whoever wants to keep them.
 * plugins/example is the plugin to copy.
 */
#ifndef QUIESCED_PLUGIN_H
#define QUIESCED_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The number of this contract. 0 until release 1.0: no promise yet. Appending a
 * field to a struct does not raise it, since the size tells how much is there.
 */
#define QUIESCED_ABI 0u

/* From prepare() alone: the application does not run. The administrator has
 * said by `not-running` whether that is a failure. Call host->error() too, since
 * a mistyped socket path looks just like a stopped server. */
#define QUIESCED_NOT_RUNNING 1

enum quiesced_level {
    QUIESCED_DEBUG,
    QUIESCED_INFO,
    QUIESCED_WARNING,           /* also stands in the record */
};

/* What the worker offers, valid from create() to destroy(). No call blocks. */
struct quiesced_host {
    uint32_t size;              /* sizeof(struct quiesced_host) in the worker */
    uint32_t abi;               /* QUIESCED_ABI of the worker */
    const char *app;            /* the app's name, "main" for apps.d/main.conf */

    /* Why the running callback fails. One line, no password. */
    void (*error)(const struct quiesced_host *host, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
    void (*log)(const struct quiesced_host *host, enum quiesced_level level,
                const char *format, ...) __attribute__((format(printf, 3, 4)));

    /* For the record. What the server is ("MariaDB 10.11.6"), how it is held
     * ("ftwrl"), and where it stood under the hold: one call a coordinate, with
     * a key of [a-z0-9-]. The last value given for a key counts. */
    void (*server)(const struct quiesced_host *host, const char *version);
    void (*method)(const struct quiesced_host *host, const char *method);
    void (*coordinate)(const struct quiesced_host *host, const char *key,
                       const char *value);

    /* Milliseconds until @deadline, 0 when it has passed. */
    uint32_t (*left_ms)(const struct quiesced_host *host, uint64_t deadline);
    /* A descriptor that becomes readable when the running callback is not
     * wanted any more. A callback that waits polls it beside its own, and then
     * returns -ECANCELED without calling error(). Only to be polled. */
    int (*cancel_fd)(const struct quiesced_host *host);

    /*
     * Opens a file that the administrator has named for reading, to be closed by the
     * caller, and only if nobody but root and the worker's user could have written it.
     * @path is absolute. With QUIESCED_OPEN_SECRET others may not be able to read it
     * either, and a @path without any slash is a credential of the service: a file
     * in $CREDENTIALS_DIRECTORY. 0, or -errno after host->error().
     *
     * Appended after the first plugins: NULL or beyond @size in an older worker.
     */
    int (*open_trusted)(const struct quiesced_host *host, const char *path, uint32_t flags,
                        int *ret_fd);
    /* New services are appended here. */
};
#define QUIESCED_OPEN_SECRET (1u << 0)

/* One key of the plugin's section. The array ends with a NULL @key. */
struct quiesced_option {
    const char *key;            /* "socket" */
    const char *help;           /* one sentence */
    const char *initial;        /* the value when the key is absent, or NULL */
    uint32_t flags;             /* QUIESCED_OPTION_... */
};
#define QUIESCED_OPTION_REQUIRED (1u << 0) /* absent: the worker refuses */
#define QUIESCED_OPTION_SECRET   (1u << 1) /* the value is never shown, and the
                                            * file may not be readable by others */

struct quiesced_plugin {
    uint32_t size;              /* set by QUIESCED_PLUGIN(); these two stay first */
    uint32_t abi;
    const char *name;           /* the file name without ".so" */
    const char *version;
    const char *summary;        /* one sentence */
    const struct quiesced_option *options;      /* or NULL */

    /* *ret_self is the instance. -errno. */
    int (*create)(const struct quiesced_host *host, void **ret_self);
    /* Once for each key of @options that has a value. Unknown and missing keys
     * are refused by the worker and never come here. 0 or -errno. */
    int (*option)(void *self, const char *key, const char *value);
    /* All options are in: do they fit together? 0 or -errno. May be NULL. */
    int (*ready)(void *self);

    /* What is slow and stops nobody: connect, check rights, look for what the
     * hold would wait for. 0, QUIESCED_NOT_RUNNING or -errno. */
    int (*prepare)(void *self, uint64_t deadline);
    /* Take the hold, and report the coordinates under it. @hold_deadline is when
     * the hold is ended though no thaw came: let the server end it by then too,
     * where it can. After 0 the application holds still. -errno: nothing is held
     * any more, and nothing is waited for. */
    int (*freeze)(void *self, uint64_t deadline, uint64_t hold_deadline);
    /* 0 if the hold has lasted without a gap since freeze(), else -errno. Called
     * once all apps hold. */
    int (*check)(void *self, uint64_t deadline);
    /* Read the proof that the hold has lasted, let go whatever was read, then
     * compare. Lets go even when it fails. 0 if it lasted, else -errno. */
    int (*thaw)(void *self, uint64_t deadline);
    /* Let go of whatever is held or asked for, from any state. */
    void (*abort)(void *self);
    /* Free the instance. Lets go of nothing that abort() would not. */
    void (*destroy)(void *self);

    /* A descriptor that becomes readable or hangs up when the hold is lost, or
     * -1. Asked after freeze(), only polled. May be NULL. */
    int (*watch_fd)(void *self);
    /* New fields are appended here. */
};

#define QUIESCED_EXPORT __attribute__((visibility("default")))
extern QUIESCED_EXPORT const struct quiesced_plugin quiesced_plugin;

/* QUIESCED_PLUGIN(.name = "mysql", .create = session_create, ...); */
#define QUIESCED_PLUGIN(...)                              \
    const struct quiesced_plugin quiesced_plugin = {      \
        .size = (uint32_t)sizeof(struct quiesced_plugin), \
        .abi = QUIESCED_ABI,                              \
        __VA_ARGS__                                       \
    }

#ifdef __cplusplus
}
#endif

#endif
