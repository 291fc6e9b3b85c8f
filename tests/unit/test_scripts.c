/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_scripts.c: which scripts there are, and in which order */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "files.h"
#include "scripts.h"
#include "util.h"

static int setup(void **state)
{
    char *dir = files_new();

    files_mkdir(dir, "own", 0755);
    files_mkdir(dir, "legacy", 0755);
    *state = dir;
    return 0;
}

static int teardown(void **state)
{
    files_remove(*state);
    free(*state);
    return 0;
}

static void make_script(const char *dir, const char *name)
{
    files_write(dir, name, "#!/bin/sh\n");
    files_mode(dir, name, 0755);
}

/* The list of both directories, as "+own/a -legacy/b !own/c": strict, lenient, refused. */
static void assert_list(const char *dir, enum legacy_scripts legacy, const char *expected)
{
    char *directories = NULL;
    char text[1024] = "";
    struct scripts scripts;

    files_check(asprintf(&directories, "%s/own:%s/legacy:%s/none", dir, dir, dir) >= 0, "");
    assert_int_equal(scripts_find(directories, legacy, &scripts), 0);
    for (size_t i = 0; i < scripts.n; i++) {
        const struct script *script = &scripts.list[i];
        size_t n = strlen(text);

        (void)snprintf(text + n, sizeof(text) - n, "%s%s%s%s", n > 0 ? " " : "",
                       script->weight == SCRIPT_STRICT ? "+" : "-",
                       script->refused != NULL ? "!" : "", script->path + strlen(dir) + 1);
    }
    assert_string_equal(text, expected);
    scripts_free(&scripts);
    free(directories);
}

static void test_order_is_directories_then_c_collation(void **state)
{
    make_script(*state, "own/b");
    make_script(*state, "own/a");
    make_script(*state, "own/B");
    make_script(*state, "own/10");
    make_script(*state, "own/9");
    make_script(*state, "legacy/a");
    assert_list(*state, LEGACY_SCRIPTS_WARN, "+own/10 +own/9 +own/B +own/a +own/b -legacy/a");
}

static void test_legacy_scripts_can_be_strict_or_off(void **state)
{
    make_script(*state, "own/a");
    make_script(*state, "legacy/a");
    assert_list(*state, LEGACY_SCRIPTS_FAIL, "+own/a +legacy/a");
    assert_list(*state, LEGACY_SCRIPTS_OFF, "+own/a");
}

static void test_no_directory_is_no_error(void **state)
{
    (void)state;
    struct scripts scripts;

    assert_int_equal(scripts_find("/nowhere/at/all", LEGACY_SCRIPTS_WARN, &scripts), 0);
    assert_int_equal(scripts.n, 0);
    scripts_free(&scripts);
}

static void test_what_is_no_directory_is_refused(void **state)
{
    char *path = files_path(*state, "file");
    struct scripts scripts;

    files_write(*state, "file", "");
    assert_int_equal(scripts_find(path, LEGACY_SCRIPTS_WARN, &scripts), 0);
    assert_int_equal(scripts.n, 1);
    assert_string_equal(scripts.list[0].path, path);
    assert_non_null(scripts.list[0].refused);
    scripts_free(&scripts);
    free(path);
}

static void test_ignored_names_are_the_stock_hooks(void **state)
{
    static const char *const ignored[] = {
        "a~",          "a.bak",      "a.orig",        "a.rpmnew",      "a.rpmorig",
        "a.rpmsave",   "a.sample",   "a.dpkg-old",    "a.dpkg-new",    "a.dpkg-tmp",
        "a.dpkg-dist", "a.dpkg-bak", "a.dpkg-backup", "a.dpkg-remove", ".hidden",
        ".",           "..",
    };
    static const char *const taken[] = { "a", "a.sh", "bak", "a.bak.sh", "a.BAK", "a~b" };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++) {
        assert_true(scripts_ignored(ignored[i]));
    }
    for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
        assert_false(scripts_ignored(taken[i]));
    }
}

static void test_only_executable_regular_files_count(void **state)
{
    make_script(*state, "own/a");
    make_script(*state, "own/b.bak");
    files_write(*state, "own/README", "text");
    files_mkdir(*state, "own/dir", 0755);
    files_link(*state, "own/dangling", "nowhere");
    assert_list(*state, LEGACY_SCRIPTS_WARN, "+own/a");
}

static void test_an_executable_counts_once(void **state)
{
    char *from = files_path(*state, "own/a");
    char *to = files_path(*state, "legacy/hard");

    make_script(*state, "own/a");
    files_link(*state, "own/b", "a");
    files_link(*state, "legacy/c", "../own/a");
    files_check(link(from, to) == 0, "link");
    assert_list(*state, LEGACY_SCRIPTS_WARN, "+own/a");
    free(from);
    free(to);
}

static void test_one_that_others_can_write_is_refused(void **state)
{
    make_script(*state, "own/a");
    make_script(*state, "legacy/b");
    files_mode(*state, "own/a", 0775);
    files_mode(*state, "legacy", 0777);
    assert_list(*state, LEGACY_SCRIPTS_WARN, "+!own/a -!legacy/b");
    files_mode(*state, "legacy", 0755);
}

static void test_added_by_path_counts_once(void **state)
{
    char *path = files_path(*state, "own/a");
    struct scripts scripts = { 0 };

    make_script(*state, "own/a");
    assert_int_equal(scripts_add(&scripts, path, SCRIPT_LENIENT), 1);
    assert_int_equal(scripts_add(&scripts, path, SCRIPT_STRICT), 0);
    assert_int_equal(scripts_add(&scripts, "/nowhere/at/all", SCRIPT_STRICT), 0);
    assert_int_equal(scripts.n, 1);
    assert_ptr_equal(scripts_lookup(&scripts, path), &scripts.list[0]);
    assert_null(scripts_lookup(&scripts, "/nowhere/at/all"));
    scripts_free(&scripts);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order_is_directories_then_c_collation, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_legacy_scripts_can_be_strict_or_off, setup, teardown),
        cmocka_unit_test(test_no_directory_is_no_error),
        cmocka_unit_test_setup_teardown(test_what_is_no_directory_is_refused, setup, teardown),
        cmocka_unit_test(test_ignored_names_are_the_stock_hooks),
        cmocka_unit_test_setup_teardown(test_only_executable_regular_files_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_executable_counts_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_that_others_can_write_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_added_by_path_counts_once, setup, teardown),
    };

    return cmocka_run_group_tests_name("scripts", tests, NULL, NULL);
}
