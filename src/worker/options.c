/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps.h"
#include "ini_file.h"
#include "options.h"
#include "util.h"

/* What the file says about one key of the plugin's table. */
struct value {
    char *text; /* NULL: nothing */
    unsigned line;
};

struct section {
    const struct plugin *plugin;
    struct value values[PLUGIN_OPTIONS_MAX];
};

static void section_wipe(struct section *section)
{
    for (size_t i = 0; i < section->plugin->n_options; i++) {
        char *text = section->values[i].text;

        if (text != NULL) {
            explicit_bzero(text, strlen(text));
        }
        free(text);
        section->values[i].text = NULL;
    }
}

static int key_unknown(const struct plugin *plugin, const char *key, char **ret_error)
{
    const char *known[PLUGIN_OPTIONS_MAX];
    const char *nearest;

    for (size_t i = 0; i < plugin->n_options; i++) {
        known[i] = plugin->api.options[i].key;
    }
    nearest = ini_file_nearest(key, known, plugin->n_options);
    return util_fail(ret_error, -EINVAL, "unknown key '%s'%s%s%s", key,
                     nearest == NULL ? "" : ", did you mean '", nearest == NULL ? "" : nearest,
                     nearest == NULL ? "" : "'?");
}

/* The reader refuses a key that stands twice. */
static int section_key(void *data, const char *key, const char *value, unsigned line,
                       char **ret_error)
{
    struct section *section = data;
    const struct plugin *plugin = section->plugin;

    for (size_t i = 0; i < plugin->n_options; i++) {
        if (strcmp(plugin->api.options[i].key, key) != 0) {
            continue;
        }
        section->values[i] = (struct value){ .text = strdup(value), .line = line };
        return section->values[i].text == NULL ? -ENOMEM : 0;
    }
    return key_unknown(plugin, key, ret_error);
}

/* Others could read the secret, and have perhaps. */
static int section_check_secret(const struct section *section, const char *path, struct host *host)
{
    const struct plugin *plugin = section->plugin;

    for (size_t i = 0; i < plugin->n_options; i++) {
        const struct quiesced_option *option = &plugin->api.options[i];

        if (section->values[i].text != NULL && (option->flags & QUIESCED_OPTION_SECRET) != 0) {
            host_error(&host->api,
                       "'%s' holds the secret key '%s' and can be read by others: chmod 0640 '%s'",
                       path, option->key, path);
            return -EPERM;
        }
    }
    return 0;
}

static int section_check_missing(const struct section *section, const char *path, struct host *host)
{
    const struct plugin *plugin = section->plugin;

    for (size_t i = 0; i < plugin->n_options; i++) {
        const struct quiesced_option *option = &plugin->api.options[i];

        if (section->values[i].text == NULL && option->initial == NULL &&
            (option->flags & QUIESCED_OPTION_REQUIRED) != 0) {
            host_error(&host->api, "'%s': the key '%s' is missing in the section [%s]", path,
                       option->key, plugin->api.name);
            return -EINVAL;
        }
    }
    return 0;
}

static int value_apply(const struct value *value, const struct quiesced_option *option,
                       const struct plugin *plugin, void *self, const char *path, struct host *host)
{
    const char *text = value->text != NULL ? value->text : option->initial;
    int r;

    if (text == NULL) {
        return 0;
    }
    r = plugin->api.option(self, option->key, text);
    if (r == 0) {
        return 0;
    }
    if ((option->flags & QUIESCED_OPTION_SECRET) != 0 && host->error != NULL &&
        strstr(host->error, text) != NULL) {
        /* the plugin's mistake must not become a password in a log */
        host_error_forget(host);
    }
    host_error(&host->api, "the plugin '%s' refused the value of '%s'", plugin->api.name,
               option->key);
    if (value->text != NULL) {
        host_error_prefix(host, "'%s' line %u", path, value->line);
    }
    return r < 0 ? r : -EINVAL;
}

static int section_apply(const struct section *section, void *self, const char *path,
                         struct host *host)
{
    const struct plugin *plugin = section->plugin;

    for (size_t i = 0; i < plugin->n_options; i++) {
        int r = value_apply(&section->values[i], &plugin->api.options[i], plugin, self, path, host);

        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int options_apply(const char *config_dir, const struct plugin *plugin, void *self,
                  struct host *host)
{
    struct section section = { .plugin = plugin };
    CLEANUP_FREE char *path = NULL;
    CLEANUP_FREE char *error = NULL;
    bool public = false;
    int r;

    if (asprintf(&path, "%s/apps.d/%s.conf", config_dir, host->api.app) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    r = app_load_section(config_dir, host->api.app, plugin->api.name, section_key, &section,
                         &public, &error);
    if (r < 0) {
        host_error(&host->api, "%s", error != NULL ? error : strerror(-r));
    }
    if (r == 0 && public) {
        r = section_check_secret(&section, path, host);
    }
    if (r == 0) {
        r = section_check_missing(&section, path, host);
    }
    if (r == 0) {
        r = section_apply(&section, self, path, host);
    }
    section_wipe(&section);
    return r;
}
