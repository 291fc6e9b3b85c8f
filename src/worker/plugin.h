/* SPDX-License-Identifier: GPL-2.0-or-later */
/* plugin.h: finding, checking and loading one plugin */
#ifndef QUIESCED_WORKER_PLUGIN_H
#define QUIESCED_WORKER_PLUGIN_H

#include "host.h"
#include "quiesced-plugin.h"

#define PLUGIN_OPTIONS_MAX 64

struct plugin {
    void *handle;
    char *path;
    /* A copy: what the plugin is too old to have is NULL here. */
    struct quiesced_plugin api;
    size_t n_options;
};

/*
 * Loads the trusted file @plugin_dir/@name.so and looks at what it exports. 0 or
 * -errno, with the reason in @host's error. plugin_unload() works on what it
 * returned, and on zeroes.
 */
int plugin_load(const char *plugin_dir, const char *name, struct host *host,
                struct plugin *ret_plugin);
void plugin_unload(struct plugin *plugin);

#endif
