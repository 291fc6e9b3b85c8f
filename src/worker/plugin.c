/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps.h"
#include "plugin.h"
#include "trust.h"
#include "util.h"

/* What the first plugins had. A field that is appended later may be missing. */
#define PLUGIN_SIZE_MIN offsetof(struct quiesced_plugin, watch_fd)

/* Loads the file behind @fd, so that what is loaded is what was checked. */
static int handle_open(const char *path, int fd, struct host *host, void **ret_handle)
{
    char link[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
    const char *why;
    void *handle;
    size_t n;

    n = (size_t)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    handle = dlopen(link, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        why = dlerror();
        if (why == NULL) {
            why = "unknown error";
        }
        if (strncmp(why, link, n) == 0 && strncmp(why + n, ": ", 2) == 0) {
            why += n + 2; /* the link's name would say nothing to anybody */
        }
        host_error(&host->api, "cannot load the plugin '%s': %s", path, why);
        return -ENOEXEC;
    }
    *ret_handle = handle;
    return 0;
}

/* The first callback that every plugin must have and @api lacks, or NULL. */
static const char *callback_missing(const struct quiesced_plugin *api)
{
    if (api->create == NULL) {
        return "create";
    }
    if (api->option == NULL && api->options != NULL) {
        return "option";
    }
    if (api->prepare == NULL) {
        return "prepare";
    }
    if (api->freeze == NULL) {
        return "freeze";
    }
    if (api->check == NULL) {
        return "check";
    }
    if (api->thaw == NULL) {
        return "thaw";
    }
    if (api->abort == NULL) {
        return "abort";
    }
    if (api->destroy == NULL) {
        return "destroy";
    }
    return NULL;
}

/* Looks at the two first fields, and only then at more. */
static int api_copy(const char *path, const struct quiesced_plugin *theirs, struct host *host,
                    struct quiesced_plugin *ret_api)
{
    struct quiesced_plugin api = { 0 };

    if (theirs->abi != QUIESCED_ABI) {
        host_error(&host->api,
                   "cannot load the plugin '%s': it was built for ABI %u, this worker has ABI %u",
                   path, theirs->abi, QUIESCED_ABI);
        return -ENOEXEC;
    }
    if (theirs->size < PLUGIN_SIZE_MIN || theirs->size % alignof(struct quiesced_plugin) != 0) {
        host_error(&host->api,
                   "cannot load the plugin '%s': its description has the impossible size %u", path,
                   theirs->size);
        return -ENOEXEC;
    }
    memcpy(&api, theirs, theirs->size < sizeof(api) ? theirs->size : sizeof(api));
    *ret_api = api;
    return 0;
}

static int api_check(const char *path, const char *name, struct host *host, struct plugin *plugin)
{
    const struct quiesced_plugin *api = &plugin->api;
    const char *missing = callback_missing(api);

    if (api->name == NULL || strcmp(api->name, name) != 0) {
        host_error(&host->api, "cannot load the plugin '%s': it says that its name is '%s'", path,
                   api->name == NULL ? "" : api->name);
        return -ENOEXEC;
    }
    if (missing != NULL) {
        host_error(&host->api, "cannot load the plugin '%s': it has no callback '%s'", path,
                   missing);
        return -ENOEXEC;
    }
    while (api->options != NULL && api->options[plugin->n_options].key != NULL) {
        if (++plugin->n_options > PLUGIN_OPTIONS_MAX) {
            host_error(&host->api, "cannot load the plugin '%s': it has more than %d options", path,
                       PLUGIN_OPTIONS_MAX);
            return -ENOEXEC;
        }
    }
    return 0;
}

static int plugin_fill(struct plugin *plugin, const char *name, int fd, struct host *host)
{
    const struct quiesced_plugin *theirs;
    int r;

    r = handle_open(plugin->path, fd, host, &plugin->handle);
    if (r < 0) {
        return r;
    }
    theirs = dlsym(plugin->handle, "quiesced_plugin");
    if (theirs == NULL) {
        host_error(&host->api, "cannot load the plugin '%s': it exports no quiesced_plugin",
                   plugin->path);
        return -ENOEXEC;
    }
    r = api_copy(plugin->path, theirs, host, &plugin->api);
    if (r < 0) {
        return r;
    }
    return api_check(plugin->path, name, host, plugin);
}

int plugin_load(const char *plugin_dir, const char *name, struct host *host,
                struct plugin *ret_plugin)
{
    struct plugin plugin = { 0 };
    CLEANUP_CLOSE int fd = -1;
    CLEANUP_FREE char *why = NULL;
    int r;

    if (!app_name_valid(name)) {
        host_error(&host->api, "'%s' is no name of a plugin", name);
        return -EINVAL;
    }
    if (asprintf(&plugin.path, "%s/%s.so", plugin_dir, name) < 0) {
        return -ENOMEM;
    }
    r = trust_open(plugin.path, TRUST_FILE, &fd, NULL, &why);
    if (r < 0) {
        host_error(&host->api, "cannot load the plugin '%s': %s", plugin.path,
                   why != NULL ? why : strerror(-r));
    } else {
        r = plugin_fill(&plugin, name, fd, host);
    }
    if (r < 0) {
        plugin_unload(&plugin);
        return r;
    }
    *ret_plugin = plugin;
    return 0;
}

void plugin_unload(struct plugin *plugin)
{
    if (plugin->handle != NULL) {
        (void)dlclose(plugin->handle);
    }
    free(plugin->path);
    *plugin = (struct plugin){ 0 };
}
