/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_plugin.c: what the loader takes, and what it refuses and why */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fixture.h"
#include "plugin.h"
#include "util.h"

struct bench {
    char *dir;
    struct host host;
    struct plugin plugin;
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    files_check(bench != NULL, "calloc");
    bench->dir = files_new();
    files_check(host_init(&bench->host, "main", -1) == 0, "host_init");
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    plugin_unload(&bench->plugin);
    host_clear(&bench->host);
    files_remove(bench->dir);
    free(bench->dir);
    free(bench);
    return 0;
}

/* Copies the fixture @name, as @as.so, and loads that. */
static int load_as(struct bench *bench, const char *name, const char *as)
{
    char from[128];
    char to[64];

    (void)snprintf(from, sizeof(from), "%s.so", name);
    (void)snprintf(to, sizeof(to), "%s.so", as);
    fixture_copy(bench->dir, to, from);
    return plugin_load(bench->dir, as, &bench->host, &bench->plugin);
}

static int load(struct bench *bench, const char *name)
{
    return load_as(bench, name, name);
}

static void assert_refused(const struct bench *bench, int r, const char *file, const char *why)
{
    assert_true(r < 0);
    assert_non_null(bench->host.error);
    if (strstr(bench->host.error, why) == NULL || strstr(bench->host.error, file) == NULL) {
        fail_msg("'%s' does not name '%s' and '%s'", bench->host.error, file, why);
    }
    assert_null(bench->plugin.handle);
}

static void test_good(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(load(bench, "fixture"), 0);
    assert_null(bench->host.error);
    assert_string_equal(bench->plugin.api.name, "fixture");
    assert_int_equal(bench->plugin.n_options, 10);
    assert_non_null(bench->plugin.api.watch_fd);
}

static void test_older_lacks_the_last_field(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(load(bench, "older"), 0);
    assert_null(bench->plugin.api.watch_fd);
    assert_non_null(bench->plugin.api.destroy);
}

static void test_newer_has_more_fields(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(load(bench, "newer"), 0);
    assert_true(bench->plugin.api.size > sizeof(struct quiesced_plugin));
    assert_non_null(bench->plugin.api.watch_fd);
}

static void test_other_abi_names_both_numbers(void **state)
{
    struct bench *bench = *state;

    assert_refused(bench, load(bench, "other-abi"), "/other-abi.so'",
                   "it was built for ABI 4711, this worker has ABI 0");
}

static void test_too_small(void **state)
{
    struct bench *bench = *state;

    assert_refused(bench, load(bench, "too-small"), "/too-small.so'", "impossible size");
}

static void test_half_a_field(void **state)
{
    struct bench *bench = *state;

    assert_refused(bench, load(bench, "odd-size"), "/odd-size.so'", "impossible size");
}

static void test_name_is_not_the_files(void **state)
{
    struct bench *bench = *state;

    assert_refused(bench, load_as(bench, "fixture", "another"), "/another.so'",
                   "its name is 'fixture'");
}

static void test_callback_missing(void **state)
{
    struct bench *bench = *state;

    assert_refused(bench, load(bench, "no-thaw"), "/no-thaw.so'", "no callback 'thaw'");
}

static void test_symbol_missing(void **state)
{
    struct bench *bench = *state;

    assert_refused(bench, load(bench, "no-symbol"), "/no-symbol.so'", "exports no quiesced_plugin");
}

static void test_no_such_file(void **state)
{
    struct bench *bench = *state;
    int r = plugin_load(bench->dir, "absent", &bench->host, &bench->plugin);

    assert_refused(bench, r, "/absent.so'", "No such file or directory");
    assert_int_equal(r, -ENOENT);
}

static void test_not_a_library(void **state)
{
    struct bench *bench = *state;

    files_write(bench->dir, "text.so", "no ELF file, but text that is long enough\n");
    files_mode(bench->dir, "text.so", 0755);
    assert_refused(bench, plugin_load(bench->dir, "text", &bench->host, &bench->plugin),
                   "/text.so'", "cannot load the plugin");
    assert_null(strstr(bench->host.error, "/proc/self"));
}

static void test_writable_by_others(void **state)
{
    struct bench *bench = *state;
    CLEANUP_FREE char *path = files_path(bench->dir, "fixture.so");

    fixture_copy(bench->dir, "fixture.so", "fixture.so");
    assert_int_equal(chmod(path, 0777), 0);
    assert_int_equal(plugin_load(bench->dir, "fixture", &bench->host, &bench->plugin), -EPERM);
    assert_refused(bench, -EPERM, "/fixture.so'", "writ");
}

static void test_directory_writable_by_others(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(chmod(bench->dir, 0777), 0);
    assert_refused(bench, load(bench, "fixture"), bench->dir, "writ");
}

static void test_name_leads_elsewhere(void **state)
{
    static const char *const names[] = { "", "../fixture", "a/b", ".", "Fixture", "fixture.so" };
    struct bench *bench = *state;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        host_error_forget(&bench->host);
        assert_refused(bench, plugin_load(bench->dir, names[i], &bench->host, &bench->plugin),
                       names[i], "is no name of a plugin");
    }
}

static void test_unload_of_nothing(void **state)
{
    struct plugin plugin = { 0 };

    (void)state;
    plugin_unload(&plugin);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_good),
        TEST(test_older_lacks_the_last_field),
        TEST(test_newer_has_more_fields),
        TEST(test_other_abi_names_both_numbers),
        TEST(test_too_small),
        TEST(test_half_a_field),
        TEST(test_name_is_not_the_files),
        TEST(test_callback_missing),
        TEST(test_symbol_missing),
        TEST(test_no_such_file),
        TEST(test_not_a_library),
        TEST(test_writable_by_others),
        TEST(test_directory_writable_by_others),
        TEST(test_name_leads_elsewhere),
        cmocka_unit_test(test_unload_of_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
