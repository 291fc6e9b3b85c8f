/* SPDX-License-Identifier: GPL-2.0-or-later */
/* settings.c: quiesced.conf, the section [quiesced] */
#include <config.h>

#include "ini_file.h"
#include "settings.h"
#include "util.h"

#define MIN (60 * USEC_PER_SEC)
#define HOUR (60 * MIN)

struct duration_key {
    const char *key;
    size_t offset;
    uint64_t initial;
    uint64_t least;
    uint64_t most;
};

/*
 * The least is what leaves something to do after the DEADLINE_MARGIN of each level.
 * The times are not compared with each other: each is cut by the deadline above
 * it, and somebody who sets freeze-timeout alone needs to know no other.
 */
static const struct duration_key durations[] = {
    { "freeze-timeout", offsetof(struct settings, freeze_timeout), 20 * USEC_PER_SEC, USEC_PER_SEC,
      10 * MIN },
    { "script-timeout", offsetof(struct settings, script_timeout), 10 * USEC_PER_SEC,
      100 * USEC_PER_MSEC, 10 * MIN },
    { "hold-attempt", offsetof(struct settings, hold_attempt), 5 * USEC_PER_SEC,
      100 * USEC_PER_MSEC, 10 * MIN },
    { "thaw-timeout", offsetof(struct settings, thaw_timeout), 5 * USEC_PER_SEC, USEC_PER_SEC,
      10 * MIN },
    { "script-thaw-timeout", offsetof(struct settings, script_thaw_timeout), 10 * USEC_PER_SEC,
      100 * USEC_PER_MSEC, 10 * MIN },
    { "hold-timeout", offsetof(struct settings, hold_timeout), 120 * USEC_PER_SEC, USEC_PER_SEC,
      HOUR },
    { "retry-after", offsetof(struct settings, retry_after), 15 * USEC_PER_SEC, 0, HOUR },
};

static const char *const known_keys[] = {
    "freeze-timeout", "script-timeout", "hold-attempt", "thaw-timeout", "script-thaw-timeout",
    "hold-timeout",   "retry-after",    "sync",         "lost-hold",    "legacy-scripts",
};

static uint64_t *duration_of(struct settings *settings, const struct duration_key *key)
{
    return (uint64_t *)(void *)((char *)settings + key->offset);
}

void settings_default(struct settings *ret_settings)
{
    *ret_settings = (struct settings){
        .sync = true,
        .lost_hold = LOST_HOLD_FAIL,
        .legacy_scripts = LEGACY_SCRIPTS_WARN,
    };
    for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
        *duration_of(ret_settings, &durations[i]) = durations[i].initial;
    }
}

/* As the administrator would write it. */
static void format_duration(uint64_t usec, char *buffer, size_t size)
{
    if (usec % MIN == 0 && usec > 0) {
        (void)snprintf(buffer, size, "%llumin", (unsigned long long)(usec / MIN));
    } else if (usec % USEC_PER_SEC == 0) {
        (void)snprintf(buffer, size, "%llus", (unsigned long long)(usec / USEC_PER_SEC));
    } else {
        (void)snprintf(buffer, size, "%llums", (unsigned long long)(usec / USEC_PER_MSEC));
    }
}

static int set_duration(struct settings *settings, const struct duration_key *key,
                        const char *value, char **ret_error)
{
    char least[32];
    char most[32];
    uint64_t usec;

    if (ini_file_duration(value, &usec) < 0) {
        return util_fail(ret_error, -EINVAL,
                         "'%s' is '%s', which is no time such as 250ms, 20s or 2min", key->key,
                         value);
    }
    if (usec < key->least || usec > key->most) {
        format_duration(key->least, least, sizeof(least));
        format_duration(key->most, most, sizeof(most));
        return util_fail(ret_error, -ERANGE, "'%s' is '%s', and must be from %s to %s", key->key,
                         value, least, most);
    }
    *duration_of(settings, key) = usec;
    return 0;
}

/* The index of @value in @words, or -EINVAL. */
static int find_word(const char *key, const char *value, const char *const *words, size_t n,
                     char **ret_error)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(value, words[i]) == 0) {
            return (int)i;
        }
    }
    return util_fail(ret_error, -EINVAL, "'%s' is '%s', and must be %s%s%s or %s", key, value,
                     words[0], n > 2 ? ", " : "", n > 2 ? words[1] : "", words[n - 1]);
}

static int set_word(struct settings *settings, const char *key, const char *value, char **ret_error)
{
    static const char *const sync_words[] = { "no", "yes" };
    static const char *const lost_hold_words[] = {
        [LOST_HOLD_FAIL] = "fail",
        [LOST_HOLD_WARN] = "warn",
    };
    static const char *const legacy_words[] = {
        [LEGACY_SCRIPTS_WARN] = "warn",
        [LEGACY_SCRIPTS_FAIL] = "fail",
        [LEGACY_SCRIPTS_OFF] = "off",
    };
    const char *nearest;
    int r;

    if (strcmp(key, "sync") == 0) {
        r = find_word(key, value, sync_words, ARRAY_SIZE(sync_words), ret_error);
        settings->sync = r == 1;
    } else if (strcmp(key, "lost-hold") == 0) {
        r = find_word(key, value, lost_hold_words, ARRAY_SIZE(lost_hold_words), ret_error);
        settings->lost_hold = r < 0 ? LOST_HOLD_FAIL : (enum lost_hold)r;
    } else if (strcmp(key, "legacy-scripts") == 0) {
        r = find_word(key, value, legacy_words, ARRAY_SIZE(legacy_words), ret_error);
        settings->legacy_scripts = r < 0 ? LEGACY_SCRIPTS_WARN : (enum legacy_scripts)r;
    } else {
        nearest = ini_file_nearest(key, known_keys, ARRAY_SIZE(known_keys));
        return util_fail(ret_error, -EINVAL, "unknown key '%s'%s%s%s", key,
                         nearest == NULL ? "" : ", did you mean '", nearest == NULL ? "" : nearest,
                         nearest == NULL ? "" : "'?");
    }
    return r < 0 ? r : 0;
}

static int take_setting(void *data, const char *section, const char *key, const char *value,
                        unsigned line, char **ret_error)
{
    struct settings *settings = data;

    (void)line; /* ini_file_read() names it */
    if (strcmp(section, "quiesced") != 0) {
        return util_fail(ret_error, -EINVAL, "unknown section [%s], only [quiesced] is known",
                         section);
    }
    if (key == NULL) {
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
        if (strcmp(key, durations[i].key) == 0) {
            return set_duration(settings, &durations[i], value, ret_error);
        }
    }
    return set_word(settings, key, value, ret_error);
}

int settings_load(const char *config_dir, struct settings *ret_settings, char **ret_error)
{
    CLEANUP_FREE char *path = NULL;
    struct settings settings;
    char *error = NULL;
    int r;

    if (asprintf(&path, "%s/quiesced.conf", config_dir) < 0) {
        path = NULL;
        return util_fail(ret_error, -ENOMEM, "cannot read the settings: %s", strerror(ENOMEM));
    }
    settings_default(&settings);
    r = ini_file_read(path, take_setting, &settings, NULL, &error);
    if (r < 0 && r != -ENOENT) {
        *ret_error = error;
        return r;
    }
    free(error);
    *ret_settings = settings;
    return 0;
}
