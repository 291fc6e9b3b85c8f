/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_apps.c: the configured applications */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "apps.h"
#include "files.h"
#include "util.h"

static int setup(void **state)
{
    char *dir = files_new();

    files_mkdir(dir, "apps.d", 0755);
    *state = dir;
    return 0;
}

static int teardown(void **state)
{
    files_remove(*state);
    free(*state);
    return 0;
}

static void load(const char *dir, struct apps *ret_apps)
{
    CLEANUP_FREE char *error = NULL;

    if (apps_load(dir, ret_apps, &error) < 0) {
        fail_msg("%s", error);
    }
}

/* Expects that the app db with @text fails with an error that ends with @end. */
static void expect_app_error(const char *dir, const char *text, const char *end)
{
    CLEANUP_FREE char *expected = NULL;
    struct apps apps;

    files_write(dir, "apps.d/db.conf", text);
    load(dir, &apps);
    assert_int_equal(apps.n, 1);
    assert_string_equal(apps.list[0].name, "db");
    assert_null(apps.list[0].plugin);
    assert_int_equal(apps.list[0].policy, APP_REQUIRED);
    assert_int_equal(apps.list[0].not_running, APP_NOT_RUNNING_FAIL);
    assert_true(asprintf(&expected, "'%s/apps.d/db.conf' %s", dir, end) > 0);
    assert_string_equal(apps.list[0].error, expected);
    apps_free(&apps);
}

static int collect(void *data, const char *key, const char *value, unsigned line, char **ret_error)
{
    FILE *stream = data;

    if (strcmp(key, "bad") == 0) {
        return util_fail(ret_error, -EINVAL, "'bad' is bad");
    }
    (void)fprintf(stream, "%u %s=%s;", line, key, value);
    return 0;
}

/* The keys of @plugin's section as "line key=value;"; to be freed. *ret_error is what
 * was said. */
static char *load_section(const char *dir, const char *name, const char *plugin, bool *ret_public,
                          int *ret_result, char **ret_error)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    assert_non_null(stream);
    *ret_result = app_load_section(dir, name, plugin, collect, stream, ret_public, ret_error);
    assert_int_equal(fclose(stream), 0);
    return text;
}

/* Names */

static void test_names_are_short_and_plain(void **state)
{
    char name[APP_NAME_MAX + 2];

    (void)state;
    assert_true(app_name_valid("a"));
    assert_true(app_name_valid("0-mysql-2"));
    assert_false(app_name_valid(""));
    assert_false(app_name_valid("-a"));
    assert_false(app_name_valid("A"));
    assert_false(app_name_valid("a_b"));
    assert_false(app_name_valid("a.b"));
    assert_false(app_name_valid("../a"));
    memset(name, 'a', sizeof(name));
    name[APP_NAME_MAX] = '\0';
    assert_true(app_name_valid(name));
    name[APP_NAME_MAX] = 'a';
    name[APP_NAME_MAX + 1] = '\0';
    assert_false(app_name_valid(name));
}

static void expect_names(const char *dir, const char *expected)
{
    struct apps apps = { .n = 4711 };
    char names[64] = "";
    char *error = NULL;

    assert_int_equal(apps_names(dir, &apps, &error), 0);
    assert_null(error);
    for (size_t i = 0; i < apps.n; i++) {
        assert_null(apps.list[i].plugin);
        (void)strcat(strcat(names, apps.list[i].name), " ");
    }
    assert_string_equal(names, expected);
    apps_free(&apps);
}

static void test_no_directory_means_no_app(void **state)
{
    CLEANUP_FREE char *nowhere = files_path(*state, "none");
    struct apps apps;

    expect_names(nowhere, "");
    load(nowhere, &apps);
    assert_int_equal(apps.n, 0);
    assert_null(apps.warnings);
    apps_free(&apps);
}

static void test_other_files_are_no_apps(void **state)
{
    expect_names(*state, "");
    files_write(*state, "apps.d/README", "");
    files_write(*state, "apps.d/db.conf~", "");
    expect_names(*state, "");
    files_write(*state, "apps.d/db.conf", "");
    files_write(*state, "apps.d/b2.conf", "");
    expect_names(*state, "b2 db ");
}

static void test_other_files_are_named_in_warnings(void **state)
{
    CLEANUP_FREE char *expected = NULL;
    const char *dir = *state;
    struct apps apps;
    char *error = NULL;

    files_write(*state, "apps.d/db.conf", "[app]\nplugin = mysql\n");
    files_write(*state, "apps.d/db.conf.rpmnew", "");
    files_write(*state, "apps.d/.conf", "");
    files_write(*state, "apps.d/a\nb.conf", "");
    load(*state, &apps);
    assert_int_equal(apps.n, 1);
    assert_true(asprintf(&expected,
                         "'%s/apps.d/.conf' is ignored: its name is not NAME.conf with NAME of "
                         "a-z, 0-9 and '-'\n"
                         "'%s/apps.d/a?b.conf' is ignored: its name is not NAME.conf with NAME "
                         "of a-z, 0-9 and '-'\n"
                         "'%s/apps.d/db.conf.rpmnew' is ignored: its name is not NAME.conf with "
                         "NAME of a-z, 0-9 and '-'",
                         dir, dir, dir) > 0);
    assert_string_equal(apps.warnings, expected);
    apps_free(&apps);
    assert_int_equal(apps_names(*state, &apps, &error), 0); /* which opens none says it too */
    assert_string_equal(apps.warnings, expected);
    apps_free(&apps);
}

static void test_many_other_files_are_counted(void **state)
{
    struct apps apps;

    for (int i = 0; i < 20; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "apps.d/backup%d.old", i);
        files_write(*state, name, "");
    }
    load(*state, &apps);
    assert_non_null(strstr(apps.warnings, "\n4 more files of '"));
    apps_free(&apps);
}

/* Apps */

static void test_app_is_read(void **state)
{
    struct apps apps;

    files_write(*state, "apps.d/db.conf",
                "[app]\nplugin = mysql\npolicy = optional\nnot-running = skip\n\n"
                "[mysql]\nsocket = /run/x\n");
    load(*state, &apps);
    assert_int_equal(apps.n, 1);
    assert_string_equal(apps.list[0].name, "db");
    assert_string_equal(apps.list[0].plugin, "mysql");
    assert_int_equal(apps.list[0].policy, APP_OPTIONAL);
    assert_int_equal(apps.list[0].not_running, APP_NOT_RUNNING_SKIP);
    assert_null(apps.list[0].error);
    assert_null(apps.warnings);
    apps_free(&apps);
}

static void test_app_is_required_unless_told(void **state)
{
    struct apps apps;

    files_write(*state, "apps.d/db.conf", "[app]\nplugin = mysql\n");
    load(*state, &apps);
    assert_int_equal(apps.list[0].policy, APP_REQUIRED);
    assert_int_equal(apps.list[0].not_running, APP_NOT_RUNNING_FAIL);
    apps_free(&apps);
}

static void test_apps_are_sorted(void **state)
{
    struct apps apps;

    files_write(*state, "apps.d/b.conf", "[app]\nplugin = x\n");
    files_write(*state, "apps.d/c.conf", "[app]\nplugin = x\n");
    files_write(*state, "apps.d/a.conf", "[app]\nplugin = x\n");
    files_write(*state, "apps.d/a-b.conf", "[app]\nplugin = x\n");
    load(*state, &apps);
    assert_int_equal(apps.n, 4);
    assert_string_equal(apps.list[0].name, "a");
    assert_string_equal(apps.list[1].name, "a-b");
    assert_string_equal(apps.list[2].name, "b");
    assert_string_equal(apps.list[3].name, "c");
    apps_free(&apps);
}

static void test_bad_file_is_a_required_app_that_failed(void **state)
{
    static const struct {
        const char *text;
        const char *end;
    } table[] = {
        { "", "names no plugin: 'plugin' is missing in [app]" },
        { "[app]\npolicy = optional\n", "names no plugin: 'plugin' is missing in [app]" },
        { "[app]\npolicy = optional\nplugin = mysql\n[mysqll]\n",
          "line 4: unknown section [mysqll], only [app] and [mysql] are known" },
        { "[mysqll]\nx = y\n[app]\nplugin = mysql\n",
          "line 1: unknown section [mysqll], only [app] and [mysql] are known" },
        { "[app]\nplugin = mysql\n[mysql]\n[other]\n",
          "line 4: there is a third section [other], after [mysql] in line 3" },
        { "[app]\npolicy = optional\nplugin = /tmp/x\n",
          "line 3: '/tmp/x' is no name of a plugin" },
        { "[app]\nplugin = app\n", "line 2: 'app' is no name of a plugin" },
        { "[app]\npolicy = maybe\n",
          "line 2: 'policy' is 'maybe', and must be required or optional" },
        { "[app]\nnot-running = ignore\n",
          "line 2: 'not-running' is 'ignore', and must be fail or skip" },
        { "[app]\nplugni = mysql\n", "line 2: unknown key 'plugni', did you mean 'plugin'?" },
        { "[app]\npassword = secret\n", "line 2: unknown key 'password'" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        expect_app_error(*state, table[i].text, table[i].end);
    }
}

static void test_bad_file_does_not_hide_the_others(void **state)
{
    struct apps apps;

    files_write(*state, "apps.d/a.conf", "rubbish\n");
    files_mkdir(*state, "apps.d/b.conf", 0755);
    files_link(*state, "apps.d/c.conf", "gone");
    files_write(*state, "apps.d/d.conf", "[app]\nplugin = x\n");
    files_mode(*state, "apps.d/d.conf", 0664);
    files_write(*state, "apps.d/e.conf", "[app]\nplugin = x\n");
    load(*state, &apps);
    assert_int_equal(apps.n, 5);
    assert_non_null(strstr(apps.list[0].error, "a.conf' line 1: not a 'key = value'"));
    assert_non_null(strstr(apps.list[1].error, "b.conf' is not a regular file"));
    assert_non_null(strstr(apps.list[2].error, "gone', to which a symbolic link leads"));
    assert_non_null(strstr(apps.list[3].error, "d.conf' is not trusted"));
    assert_null(apps.list[4].error);
    apps_free(&apps);
}

static void expect_directory_error(const char *dir, int expected, const char *part)
{
    struct apps apps = { .n = 4711 };
    char *error = NULL;

    assert_int_equal(apps_names(dir, &apps, &error), expected);
    assert_non_null(strstr(error, part));
    free(error);
    error = NULL;
    assert_int_equal(apps_load(dir, &apps, &error), expected);
    assert_non_null(strstr(error, part));
    assert_int_equal(apps.n, 4711);
    free(error);
}

static void test_directory_that_others_can_write_is_an_error(void **state)
{
    files_mode(*state, "apps.d", 0775);
    expect_directory_error(*state, -EPERM, "apps.d' is not trusted: '");
}

static void test_sticky_directory_is_an_error(void **state)
{
    files_mode(*state, "apps.d", 01777);
    expect_directory_error(*state, -EPERM, "is writable by others");
}

static void test_link_to_nothing_is_not_no_app(void **state)
{
    CLEANUP_FREE char *dir = files_path(*state, "other");

    files_mkdir(*state, "other", 0755);
    files_link(*state, "other/apps.d", "/nonexistent/apps.d");
    expect_directory_error(dir, -ENOLINK, "'/nonexistent', to which a symbolic link leads");
}

static void test_file_instead_of_the_directory_is_an_error(void **state)
{
    CLEANUP_FREE char *dir = files_path(*state, "other");

    files_mkdir(*state, "other", 0755);
    files_write(*state, "other/apps.d", "");
    expect_directory_error(dir, -EINVAL, "apps.d' is not a directory");
}

static void test_too_many_apps_are_an_error(void **state)
{
    struct apps apps = { .n = 4711 };
    char *error = NULL;

    for (int i = 0; i <= APPS_MAX; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "apps.d/a%d.conf", i);
        files_write(*state, name, "[app]\nplugin = x\n");
    }
    assert_int_equal(apps_load(*state, &apps, &error), -E2BIG);
    assert_non_null(strstr(error, "has 65 apps, and at most 64 are possible"));
    free(error);
    assert_int_equal(unlink((error = files_path(*state, "apps.d/a0.conf"))), 0);
    free(error);
    load(*state, &apps);
    assert_int_equal(apps.n, APPS_MAX);
    apps_free(&apps);
}

/* The plugin's section */

static void test_section_is_handed_over_in_order(void **state)
{
    CLEANUP_FREE char *error = NULL;
    CLEANUP_FREE char *keys = NULL;
    bool public = false;
    int r;

    files_write(*state, "apps.d/db.conf",
                "[mysql]\nsocket = /run/x\n[app]\nplugin = mysql\n[mysql]\nuser: me\n"
                "password = a;b#c=d:\"e\"\n");
    keys = load_section(*state, "db", "mysql", &public, &r, &error);
    assert_int_equal(r, 0);
    assert_string_equal(keys, "2 socket=/run/x;6 user=me;7 password=a;b#c=d:\"e\";");
}

static void test_section_may_be_absent(void **state)
{
    CLEANUP_FREE char *error = NULL;
    CLEANUP_FREE char *keys = NULL;
    bool public = false;
    int r;

    files_write(*state, "apps.d/db.conf", "[app]\nplugin = mysql\n");
    keys = load_section(*state, "db", "mysql", &public, &r, &error);
    assert_int_equal(r, 0);
    assert_string_equal(keys, "");
}

static void test_public_is_what_others_can_read(void **state)
{
    static const struct {
        mode_t mode;
        bool public;
    } table[] = { { 0644, true }, { 0640, false }, { 0600, false }, { 0604, true } };

    files_write(*state, "apps.d/db.conf", "[app]\nplugin = mysql\n");
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        CLEANUP_FREE char *error = NULL;
        CLEANUP_FREE char *keys = NULL;
        bool public = !table[i].public;
        int r;

        files_mode(*state, "apps.d/db.conf", table[i].mode);
        keys = load_section(*state, "db", "mysql", &public, &r, &error);
        assert_int_equal(r, 0);
        assert_int_equal(public, table[i].public);
    }
}

static void test_error_of_a_key_names_file_and_line(void **state)
{
    CLEANUP_FREE char *error = NULL;
    CLEANUP_FREE char *keys = NULL;
    bool public = false;
    int r;

    files_write(*state, "apps.d/db.conf", "[app]\nplugin = mysql\n[mysql]\nbad = x\nuser = y\n");
    keys = load_section(*state, "db", "mysql", &public, &r, &error);
    assert_int_equal(r, -EINVAL);
    assert_non_null(strstr(error, "/apps.d/db.conf' line 4: 'bad' is bad"));
    assert_string_equal(keys, "");
}

static void test_changed_plugin_is_an_error(void **state)
{
    CLEANUP_FREE char *error = NULL;
    CLEANUP_FREE char *keys = NULL;
    bool public = false;
    int r;

    files_write(*state, "apps.d/db.conf", "[app]\nplugin = redis\n[redis]\nuser = y\n");
    keys = load_section(*state, "db", "mysql", &public, &r, &error);
    assert_int_equal(r, -ESTALE);
    assert_non_null(strstr(error, "has changed: its plugin is 'redis' now, not 'mysql'"));
    assert_string_equal(keys, "");
}

static void test_name_cannot_lead_elsewhere(void **state)
{
    CLEANUP_FREE char *error = NULL;
    CLEANUP_FREE char *keys = NULL;
    bool public = false;
    int r;

    files_write(*state, "db.conf", "[app]\nplugin = mysql\n");
    keys = load_section(*state, "../db", "mysql", &public, &r, &error);
    assert_int_equal(r, -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_names_are_short_and_plain),
        TEST(test_no_directory_means_no_app),
        TEST(test_other_files_are_no_apps),
        TEST(test_other_files_are_named_in_warnings),
        TEST(test_many_other_files_are_counted),
        TEST(test_app_is_read),
        TEST(test_app_is_required_unless_told),
        TEST(test_apps_are_sorted),
        TEST(test_bad_file_is_a_required_app_that_failed),
        TEST(test_bad_file_does_not_hide_the_others),
        TEST(test_directory_that_others_can_write_is_an_error),
        TEST(test_sticky_directory_is_an_error),
        TEST(test_link_to_nothing_is_not_no_app),
        TEST(test_file_instead_of_the_directory_is_an_error),
        TEST(test_too_many_apps_are_an_error),
        TEST(test_section_is_handed_over_in_order),
        TEST(test_section_may_be_absent),
        TEST(test_public_is_what_others_can_read),
        TEST(test_error_of_a_key_names_file_and_line),
        TEST(test_changed_plugin_is_an_error),
        TEST(test_name_cannot_lead_elsewhere),
    };

    return cmocka_run_group_tests_name("apps", tests, NULL, NULL);
}
