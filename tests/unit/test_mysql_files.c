/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_mysql_files.c: the files that the mysql plugin's configuration names */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "defaults.h"
#include "fake_mysql.h"
#include "files.h"
#include "mysql_bench.h"
#include "util.h"

static const char *text_or_none(const char *text)
{
    return text != NULL ? text : "(none)";
}

static void test_option_files(void **state)
{
    static const struct {
        const char *text;
        const char *user;
        const char *password;
    } table[] = {
        { "", "(none)", "(none)" },
        { "user=a\n", "(none)", "(none)" },
        { "[client]\nuser=a\npassword = b", "a", "b" },
        { "[client]\r\nuser = a \r\npassword=\r\n", "a", "" },
        { "[ client ]\n# c\n; c\nUSER=x\nuser=\"a b\" # c\npassword='a#b'", "a b", "a#b" },
        { "[client]\npassword=a#b", "(none)", "a" },
        { "[client]\npassword\nuser", "(none)", "(none)" },
        { "[client]\npassword=\"a\\\"b\\\\c\\sd\\x\"", "(none)", "a\"b\\c d\\x" },
        { "[client]\npassword='a'b'", "(none)", "a'b" },
        { "[mysqld]\nuser=mysql\n[client]\npassword=b\n[mysql]\npassword=c", "(none)", "b" },
        { "[quiesced]\nuser=q\n[client]\nuser=a\npassword=b\n", "q", "b" },
        { "[client]\nuser=a\nuser=b\nplugin-dir=/tmp\ninit_command=DROP", "b", "(none)" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct defaults defaults;
        unsigned int line = 0;
        const char *why = NULL;

        assert_int_equal(defaults_parse(table[i].text, &defaults, &line, &why), 0);
        assert_string_equal(text_or_none(defaults.user), table[i].user);
        assert_string_equal(text_or_none(defaults.password), table[i].password);
        defaults_clear(&defaults);
    }
}

static void test_bad_option_files(void **state)
{
    static const struct {
        const char *text;
        unsigned int line;
    } table[] = {
        { "[client]\n!include /etc/my.cnf\n", 2 },
        { "\n\n[client\nuser=a\n", 3 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct defaults defaults;
        unsigned int line = 0;
        const char *why = NULL;

        assert_int_equal(defaults_parse(table[i].text, &defaults, &line, &why), -EINVAL);
        assert_int_equal(line, table[i].line);
        assert_non_null(why);
    }
}

struct place {
    struct bench *bench;
    char *dir;
    char *path; /* of the one file there */
};

static struct place place_new(void **state, const char *text)
{
    struct place place = { .bench = *state, .dir = files_new() };

    files_write(place.dir, "file", text);
    place.path = files_path(place.dir, "file");
    return place;
}

static void place_free(struct place *place)
{
    files_remove(place->dir);
    free(place->dir);
    free(place->path);
}

/* Prepares, and sees where and as whom it would connect. */
static void assert_connects(struct bench *bench, const char *who)
{
    assert_int_equal(quiesced_plugin.ready(bench->self), 0);
    fake_connect_fails(1, who, 2002, "Can't connect (2)");
    fake_close(1);
    assert_int_equal(bench_prepare(bench), QUIESCED_NOT_RUNNING);
}

static void test_defaults_file(void **state)
{
    struct place place =
        place_new(state, "[client]\nuser=a\npassword=b\nsocket=/s\nhost=h\nport=1\nssl-ca=/ca\n");

    bench_set(place.bench, "defaults-file", place.path);
    assert_connects(place.bench, "a:b@/s");
    assert_int_equal(place.bench->secret_files, 1);
    place_free(&place);
}

static void test_own_keys_go_before_the_defaults_file(void **state)
{
    struct place place = place_new(state, "[client]\nuser=a\npassword=b\nsocket=/s\n");

    bench_set(place.bench, "defaults-file", place.path);
    bench_set(place.bench, "user", "own");
    bench_set(place.bench, "socket", "/own");
    assert_connects(place.bench, "own:b@/own");
    place_free(&place);
}

static void test_bad_defaults_file(void **state)
{
    struct place place = place_new(state, "[client]\n!includedir /etc\n");

    bench_set(place.bench, "defaults-file", place.path);
    assert_int_equal(quiesced_plugin.ready(place.bench->self), -EINVAL);
    bench_assert_error(place.bench, "/file' line 2: other files are not included");
    place_free(&place);
}

static void test_password_file(void **state)
{
    struct place place = place_new(state, "a b#c\n");

    bench_set(place.bench, "user", "u");
    bench_set(place.bench, "password-file", place.path);
    assert_connects(place.bench, "u:a b#c@/run/mysqld/mysqld.sock");
    assert_int_equal(place.bench->secret_files, 1);
    place_free(&place);
}

static void bad_password_file(void **state, const char *text, const char *error)
{
    struct place place = place_new(state, text);

    place.bench->error[0] = '\0';
    bench_set(place.bench, "password-file", place.path);
    assert_int_equal(quiesced_plugin.ready(place.bench->self), -EINVAL);
    bench_assert_error(place.bench, error);
    place_free(&place);
}

static void test_bad_password_files(void **state)
{
    bad_password_file(state, "", "is empty");
    bad_password_file(state, "\nsecond", "is empty");
    bad_password_file(state, "one\ntwo\n", "is more than one line");
}

static void test_password_and_its_file_exclude_each_other(void **state)
{
    struct bench *bench = *state;

    bench_set(bench, "password", "p");
    bench_set(bench, "password-file", "/p");
    assert_int_equal(quiesced_plugin.ready(bench->self), -EINVAL);
    bench_assert_error(bench, "exclude each other");
}

static void test_a_worker_without_the_service(void **state)
{
    struct bench *bench = *state;

    bench->host.size = (uint32_t)offsetof(struct quiesced_host, open_trusted);
    bench_set(bench, "password-file", "/p");
    assert_int_equal(quiesced_plugin.ready(bench->self), -ENOSYS);
    bench_assert_error(bench, "older than the plugin");
}

/* TLS */

static void test_bad_tls(void **state)
{
    static const struct {
        const char *keys[6];
        const char *error;
    } table[] = {
        { { "tls", "off", "tls-ca", "/ca" }, "exclude each other" },
        { { "tls", "verify" }, "cannot be verified without tls-ca" },
        { { "remote", "yes", "host", "h" }, "cannot be verified without tls-ca" },
        { { "tls", "encrypt", "tls-key", "/k" }, "are of use together only" },
        { { "socket", "/s", "host", "h" }, "exclude each other" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct bench *bench;

        if (i > 0) {
            assert_int_equal(bench_setup(state), 0);
        }
        bench = *state;
        bench_set(bench, "user", "u");
        bench_set(bench, "host", "localhost");
        for (size_t key = 0; key < 6 && table[i].keys[key] != NULL; key += 2) {
            bench_set(bench, table[i].keys[key], table[i].keys[key + 1]);
        }
        assert_true(quiesced_plugin.ready(bench->self) < 0);
        bench_assert_error(bench, table[i].error);
        if (i + 1 < ARRAY_SIZE(table)) {
            assert_int_equal(bench_teardown(state), 0);
        }
    }
}

static void test_tls_needs_tcp(void **state)
{
    struct bench *bench = *state;

    bench_set(bench, "user", "u");
    bench_set(bench, "tls", "encrypt");
    assert_int_equal(quiesced_plugin.ready(bench->self), -EINVAL);
    bench_assert_error(bench, "of use with host only");
}

static void test_tls_is_off_on_the_loopback(void **state)
{
    struct bench *bench = *state;

    bench_set(bench, "user", "u");
    bench_set(bench, "host", "127.0.0.1");
    assert_connects(bench, "u@127.0.0.1:3306");
}

static void test_tls_encrypts(void **state)
{
    struct bench *bench = *state;

    bench_set(bench, "user", "u");
    bench_set(bench, "host", "127.0.0.1");
    bench_set(bench, "tls", "encrypt");
    assert_connects(bench, "u@127.0.0.1:3306 encrypted");
}

/* The library is given the descriptors, which differ from run to run. */
static void assert_verifies(struct bench *bench)
{
    char who[160] = "u@127.0.0.1:3306 verified";

    assert_int_equal(quiesced_plugin.ready(bench->self), 0);
    for (int fd = 3; fd < 64; fd++) {
        char name[32];
        char target[64] = "";

        (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        if (readlink(name, target, sizeof(target) - 1) > 0 && strstr(target, "/file") != NULL) {
            (void)snprintf(who + strlen(who), sizeof(who) - strlen(who), "+%s", name);
        }
    }
    fake_connect_fails(1, who, 2003, "Can't connect (111)");
    fake_close(1);
    assert_int_equal(bench_prepare(bench), QUIESCED_NOT_RUNNING);
}

static void test_tls_verifies_by_the_opened_file(void **state)
{
    struct place place = place_new(state, "certificate");

    bench_set(place.bench, "user", "u");
    bench_set(place.bench, "host", "127.0.0.1");
    bench_set(place.bench, "tls-ca", place.path);
    assert_verifies(place.bench);
    assert_int_equal(place.bench->secret_files, 0);
    place_free(&place);
}

static void test_tls_key_is_a_secret(void **state)
{
    struct place place = place_new(state, "certificate and key");

    bench_set(place.bench, "user", "u");
    bench_set(place.bench, "host", "127.0.0.1");
    bench_set(place.bench, "tls-ca", place.path);
    bench_set(place.bench, "tls-cert", place.path);
    bench_set(place.bench, "tls-key", place.path);
    assert_verifies(place.bench);
    assert_int_equal(place.bench->secret_files, 1);
    place_free(&place);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_option_files),
        TEST(test_bad_option_files),
        TEST(test_defaults_file),
        TEST(test_own_keys_go_before_the_defaults_file),
        TEST(test_bad_defaults_file),
        TEST(test_password_file),
        TEST(test_bad_password_files),
        TEST(test_password_and_its_file_exclude_each_other),
        TEST(test_a_worker_without_the_service),
        TEST(test_bad_tls),
        TEST(test_tls_needs_tcp),
        TEST(test_tls_is_off_on_the_loopback),
        TEST(test_tls_encrypts),
        TEST(test_tls_verifies_by_the_opened_file),
        TEST(test_tls_key_is_a_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
