/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_options.c: what of a section reaches the plugin, and what is refused */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "files.h"
#include "options.h"
#include "util.h"

#define PASSWORD "tOp-s3cret"

struct bench {
    char *dir;
    struct host host;
    struct plugin plugin;
    char got[256]; /* "key=value " for each call */
};

static const struct quiesced_option bench_options[] = {
    { .key = "socket", .flags = QUIESCED_OPTION_REQUIRED },
    { .key = "user", .initial = "backup" },
    { .key = "password", .flags = QUIESCED_OPTION_SECRET },
    { .key = "comment" },
    { .key = NULL },
};

static int bench_option(void *self, const char *key, const char *value)
{
    struct bench *bench = self;
    size_t n = strlen(bench->got);

    (void)snprintf(bench->got + n, sizeof(bench->got) - n, "%s=%s ", key, value);
    if (strcmp(value, "silent") == 0) {
        return -EINVAL;
    }
    if (strncmp(value, "bad", 3) == 0) {
        host_error(&bench->host.api, "'%s' may not be '%s'", key, value);
        return -EINVAL;
    }
    return 0;
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    files_check(bench != NULL, "calloc");
    bench->dir = files_new();
    files_mkdir(bench->dir, "apps.d", 0755);
    files_check(host_init(&bench->host, "main", -1) == 0, "host_init");
    bench->plugin = (struct plugin){
        .api = { .name = "db", .options = bench_options, .option = bench_option },
        .n_options = ARRAY_SIZE(bench_options) - 1,
    };
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    host_clear(&bench->host);
    files_remove(bench->dir);
    free(bench->dir);
    free(bench);
    return 0;
}

static int apply(struct bench *bench, mode_t mode, const char *section)
{
    CLEANUP_FREE char *text = NULL;

    files_check(asprintf(&text, "[app]\nplugin = db\n[db]\n%s", section) >= 0, "asprintf");
    files_write(bench->dir, "apps.d/main.conf", text);
    files_mode(bench->dir, "apps.d/main.conf", mode);
    return options_apply(bench->dir, &bench->plugin, bench, &bench->host);
}

static void assert_refused(const struct bench *bench, int r, const char *why)
{
    assert_true(r < 0);
    assert_non_null(bench->host.error);
    if (strstr(bench->host.error, why) == NULL ||
        strstr(bench->host.error, "/apps.d/main.conf'") == NULL) {
        fail_msg("'%s' does not name the file and '%s'", bench->host.error, why);
    }
    assert_null(strstr(bench->host.error, PASSWORD));
}

static void test_values_and_initial_ones(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(apply(bench, 0640, "password = " PASSWORD "\nsocket = /s\n"), 0);
    assert_string_equal(bench->got, "socket=/s user=backup password=" PASSWORD " ");
    assert_null(bench->host.error);
}

static void test_unknown_key(void **state)
{
    struct bench *bench = *state;

    assert_refused(bench, apply(bench, 0640, "socket = /s\npasword = " PASSWORD "\n"),
                   "line 5: unknown key 'pasword', did you mean 'password'?");
    assert_string_equal(bench->got, "");
}

static void test_missing_key(void **state)
{
    struct bench *bench = *state;

    assert_refused(bench, apply(bench, 0640, "user = me\n"),
                   "the key 'socket' is missing in the section [db]");
    assert_string_equal(bench->got, "");
}

static void test_secret_that_others_can_read(void **state)
{
    struct bench *bench = *state;

    assert_refused(bench, apply(bench, 0644, "socket = /s\npassword = " PASSWORD "\n"),
                   "chmod 0640 '");
    assert_string_equal(bench->got, "");
}

static void test_no_secret_in_a_public_file(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(apply(bench, 0644, "socket = /s\n"), 0);
}

static void test_refused_value_names_the_line(void **state)
{
    struct bench *bench = *state;

    assert_refused(bench, apply(bench, 0640, "socket = /s\nuser = bad\n"),
                   "line 5: 'user' may not be 'bad'");
}

static void test_refused_without_a_reason(void **state)
{
    struct bench *bench = *state;

    assert_refused(bench, apply(bench, 0640, "socket = /s\nuser = silent\n"),
                   "line 5: the plugin 'db' refused the value of 'user'");
}

/* A plugin should not, but if it does: no password in a message. */
static void test_secret_in_the_plugins_error(void **state)
{
    struct bench *bench = *state;

    assert_refused(bench, apply(bench, 0640, "socket = /s\npassword = bad" PASSWORD "\n"),
                   "line 5: the plugin 'db' refused the value of 'password'");
}

static void test_no_file(void **state)
{
    struct bench *bench = *state;

    assert_refused(bench, options_apply(bench->dir, &bench->plugin, bench, &bench->host),
                   "No such file");
}

static void test_plugin_without_options(void **state)
{
    struct bench *bench = *state;

    bench->plugin.api.options = NULL;
    bench->plugin.n_options = 0;
    assert_int_equal(apply(bench, 0640, ""), 0);
    assert_refused(bench, apply(bench, 0640, "user = me\n"), "unknown key 'user'");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_values_and_initial_ones),
        TEST(test_unknown_key),
        TEST(test_missing_key),
        TEST(test_secret_that_others_can_read),
        TEST(test_no_secret_in_a_public_file),
        TEST(test_refused_value_names_the_line),
        TEST(test_refused_without_a_reason),
        TEST(test_secret_in_the_plugins_error),
        TEST(test_no_file),
        TEST(test_plugin_without_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
