/* SPDX-License-Identifier: GPL-2.0-or-later */
/* options.h: the plugin's section of the app's file, checked against its table */
#ifndef QUIESCED_WORKER_OPTIONS_H
#define QUIESCED_WORKER_OPTIONS_H

#include "host.h"
#include "plugin.h"

/*
 * Reads the section of @plugin from @config_dir/apps.d/APP.conf, APP being @host's,
 * and hands each key that has a value to @self. Unknown, double and missing keys
 * are refused, and so is a secret in a file that others may read. 0 or -errno, with
 * the reason in @host's error. Wipes each value before it returns.
 */
int options_apply(const char *config_dir, const struct plugin *plugin, void *self,
                  struct host *host);

#endif
