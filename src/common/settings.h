/* SPDX-License-Identifier: GPL-2.0-or-later */
/* settings.h: quiesced.conf, the section [quiesced] */
#ifndef QUIESCED_SETTINGS_H
#define QUIESCED_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

enum lost_hold {
    LOST_HOLD_FAIL,
    LOST_HOLD_WARN,
};

enum legacy_scripts {
    LEGACY_SCRIPTS_WARN,
    LEGACY_SCRIPTS_FAIL,
    LEGACY_SCRIPTS_OFF,
};

/* Times in microseconds; quiesced.conf(5) says what each one bounds. */
struct settings {
    uint64_t freeze_timeout;
    uint64_t script_timeout;
    uint64_t hold_attempt;
    uint64_t thaw_timeout;
    uint64_t script_thaw_timeout;
    uint64_t hold_timeout;
    uint64_t retry_after;
    bool sync;
    enum lost_hold lost_hold;
    enum legacy_scripts legacy_scripts;
};

/* What holds without any file. */
void settings_default(struct settings *ret_settings);

/*
 * Reads @config_dir/quiesced.conf; a file that is not there is no error. -errno,
 * and in *ret_error (to be freed) one line that names the file, the line, and the
 * nearest known key.
 */
int settings_load(const char *config_dir, struct settings *ret_settings, char **ret_error);

#endif
