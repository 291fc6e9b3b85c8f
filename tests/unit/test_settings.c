/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_settings.c: quiesced.conf */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "files.h"
#include "settings.h"
#include "util.h"

static int setup(void **state)
{
    *state = files_new();
    return 0;
}

static int teardown(void **state)
{
    files_remove(*state);
    free(*state);
    return 0;
}

static void load(const char *dir, const char *text, struct settings *ret_settings)
{
    CLEANUP_FREE char *error = NULL;

    files_write(dir, "quiesced.conf", text);
    if (settings_load(dir, ret_settings, &error) < 0) {
        fail_msg("%s", error);
    }
}

/* Expects an error that ends with @end, after the name of the file. */
static void expect_error(const char *dir, const char *text, const char *end)
{
    CLEANUP_FREE char *error = NULL;
    CLEANUP_FREE char *expected = NULL;
    struct settings settings = { .freeze_timeout = 4711 };

    files_write(dir, "quiesced.conf", text);
    assert_true(settings_load(dir, &settings, &error) < 0);
    assert_int_equal(settings.freeze_timeout, 4711);
    assert_true(asprintf(&expected, "'%s/quiesced.conf' %s", dir, end) > 0);
    assert_string_equal(error, expected);
}

static void test_no_file_means_the_defaults(void **state)
{
    CLEANUP_FREE char *error = NULL;
    CLEANUP_FREE char *nowhere = files_path(*state, "none");
    struct settings settings;

    assert_int_equal(settings_load(*state, &settings, &error), 0);
    assert_int_equal(settings.freeze_timeout, 20 * USEC_PER_SEC);
    assert_int_equal(settings.script_timeout, 10 * USEC_PER_SEC);
    assert_int_equal(settings.hold_attempt, 5 * USEC_PER_SEC);
    assert_int_equal(settings.thaw_timeout, 5 * USEC_PER_SEC);
    assert_int_equal(settings.script_thaw_timeout, 10 * USEC_PER_SEC);
    assert_int_equal(settings.hold_timeout, 120 * USEC_PER_SEC);
    assert_int_equal(settings.retry_after, 15 * USEC_PER_SEC);
    assert_true(settings.sync);
    assert_int_equal(settings.lost_hold, LOST_HOLD_FAIL);
    assert_int_equal(settings.legacy_scripts, LEGACY_SCRIPTS_WARN);
    assert_null(error);
    assert_int_equal(settings_load(nowhere, &settings, &error), 0);
}

static void test_each_key_is_read(void **state)
{
    struct settings settings;

    load(*state,
         "[quiesced]\nfreeze-timeout = 30s\nscript-timeout=1500ms\nhold-attempt = 2s\n"
         "thaw-timeout = 7s\nscript-thaw-timeout = 1min\nhold-timeout = 5min\n"
         "retry-after = 0s\nsync = no\nlost-hold = warn\nlegacy-scripts = off\n",
         &settings);
    assert_int_equal(settings.freeze_timeout, 30 * USEC_PER_SEC);
    assert_int_equal(settings.script_timeout, 1500 * USEC_PER_MSEC);
    assert_int_equal(settings.hold_attempt, 2 * USEC_PER_SEC);
    assert_int_equal(settings.thaw_timeout, 7 * USEC_PER_SEC);
    assert_int_equal(settings.script_thaw_timeout, 60 * USEC_PER_SEC);
    assert_int_equal(settings.hold_timeout, 300 * USEC_PER_SEC);
    assert_int_equal(settings.retry_after, 0);
    assert_false(settings.sync);
    assert_int_equal(settings.lost_hold, LOST_HOLD_WARN);
    assert_int_equal(settings.legacy_scripts, LEGACY_SCRIPTS_OFF);
    load(*state, "[quiesced]\nsync = yes\nlost-hold = fail\nlegacy-scripts = fail\n", &settings);
    assert_true(settings.sync);
    assert_int_equal(settings.lost_hold, LOST_HOLD_FAIL);
    assert_int_equal(settings.legacy_scripts, LEGACY_SCRIPTS_FAIL);
}

static void test_other_keys_keep_their_default(void **state)
{
    struct settings settings;

    load(*state, "[quiesced]\nhold-timeout = 60s\n", &settings);
    assert_int_equal(settings.hold_timeout, 60 * USEC_PER_SEC);
    assert_int_equal(settings.freeze_timeout, 20 * USEC_PER_SEC);
    load(*state, "", &settings);
    assert_int_equal(settings.hold_timeout, 120 * USEC_PER_SEC);
}

static void test_errors_name_file_line_and_reason(void **state)
{
    static const struct {
        const char *text;
        const char *end;
    } table[] = {
        { "[quiesced]\n\n# a comment\nfreeze-timout = 20s\n",
          "line 4: unknown key 'freeze-timout', did you mean 'freeze-timeout'?" },
        { "[quiesced]\ncolour = red\n", "line 2: unknown key 'colour'" },
        { "[quiesced]\nSync = yes\n", "line 2: unknown key 'Sync', did you mean 'sync'?" },
        { "[app]\n", "line 1: unknown section [app], only [quiesced] is known" },
        { "[quiesced]\n[quiesced2]\nsync = no\n",
          "line 2: unknown section [quiesced2], only [quiesced] is known" },
        { "sync = no\n", "line 1: 'sync' stands before any section" },
        { "[quiesced]\nsync = no\nsync = no\n", "line 3: 'sync' stands twice in [quiesced]" },
        { "[quiesced]\nsync = no\n[quiesced]\nsync = no\n",
          "line 4: 'sync' stands twice in [quiesced]" },
        { "[quiesced]\nsync = 1\n", "line 2: 'sync' is '1', and must be no or yes" },
        { "[quiesced]\nlost-hold =\n", "line 2: 'lost-hold' is '', and must be fail or warn" },
        { "[quiesced]\nlegacy-scripts = on\n",
          "line 2: 'legacy-scripts' is 'on', and must be warn, fail or off" },
        { "[quiesced]\nfreeze-timeout = 20\n",
          "line 2: 'freeze-timeout' is '20', which is no time such as 250ms, 20s or 2min" },
        { "[quiesced]\nfreeze-timeout = -1s\n",
          "line 2: 'freeze-timeout' is '-1s', which is no time such as 250ms, 20s or 2min" },
        { "[quiesced]\nfreeze-timeout = 20s # long\n",
          "line 2: 'freeze-timeout' is '20s # long', which is no time such as 250ms, 20s or "
          "2min" },
        { "[quiesced]\nsync\n", "line 2: not a 'key = value'" },
        { "[quiesced]\nsync\ncolour = red\n", "line 2: not a 'key = value'" },
        { "[quiesced]\ncolour = red\nsync\n", "line 2: unknown key 'colour'" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        expect_error(*state, table[i].text, table[i].end);
    }
}

static void test_times_have_their_ranges(void **state)
{
    static const struct {
        const char *key;
        const char *below;
        const char *least;
        const char *most;
        const char *above;
        const char *range;
    } table[] = {
        { "freeze-timeout", "999ms", "1s", "10min", "601s", "from 1s to 10min" },
        { "script-timeout", "99ms", "100ms", "10min", "601s", "from 100ms to 10min" },
        { "hold-attempt", "0s", "100ms", "10min", "11min", "from 100ms to 10min" },
        { "thaw-timeout", "999ms", "1s", "10min", "601s", "from 1s to 10min" },
        { "script-thaw-timeout", "99ms", "100ms", "10min", "601s", "from 100ms to 10min" },
        { "hold-timeout", "999ms", "1s", "60min", "3601s", "from 1s to 60min" },
        { "retry-after", NULL, "0s", "60min", "61min", "from 0s to 60min" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        const char *good[] = { table[i].least, table[i].most };
        const char *bad[] = { table[i].above, table[i].below };

        for (size_t j = 0; j < 2; j++) {
            CLEANUP_FREE char *text = NULL;
            struct settings settings;

            assert_true(asprintf(&text, "[quiesced]\n%s = %s\n", table[i].key, good[j]) > 0);
            load(*state, text, &settings);
        }
        for (size_t j = 0; j < 2 && bad[j] != NULL; j++) {
            CLEANUP_FREE char *text = NULL;
            CLEANUP_FREE char *end = NULL;

            assert_true(asprintf(&text, "[quiesced]\n%s = %s\n", table[i].key, bad[j]) > 0);
            assert_true(asprintf(&end, "line 2: '%s' is '%s', and must be %s", table[i].key, bad[j],
                                 table[i].range) > 0);
            expect_error(*state, text, end);
        }
    }
}

static void test_file_that_others_can_write_is_refused(void **state)
{
    CLEANUP_FREE char *error = NULL;
    struct settings settings;

    files_write(*state, "quiesced.conf", "[quiesced]\n");
    files_mode(*state, "quiesced.conf", 0666);
    assert_int_equal(settings_load(*state, &settings, &error), -EPERM);
    assert_non_null(strstr(error, "quiesced.conf' is not trusted: '"));
    assert_non_null(strstr(error, "is writable by others"));
}

static void test_link_to_nothing_is_an_error(void **state)
{
    CLEANUP_FREE char *error = NULL;
    struct settings settings;

    files_link(*state, "quiesced.conf", "gone");
    assert_int_equal(settings_load(*state, &settings, &error), -ENOLINK);
    assert_non_null(error);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_file_means_the_defaults),    TEST(test_each_key_is_read),
        TEST(test_other_keys_keep_their_default), TEST(test_errors_name_file_line_and_reason),
        TEST(test_times_have_their_ranges),       TEST(test_file_that_others_can_write_is_refused),
        TEST(test_link_to_nothing_is_an_error),
    };

    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
