/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_postgresql_parts.c: the postgresql plugin's options, and parts that need no server */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_libpq.h"
#include "layout.h"
#include "postgresql_bench.h"
#include "service.h"

static void test_conninfo_as_keywords_and_as_uri(void **state)
{
    static const struct {
        const char *conninfo;
        const char *who;
    } table[] = {
        { "user=q", "q@/run/postgresql:5432/postgres" },
        { "host=/tmp port=5433 user=q dbname=d", "q@/tmp:5433/d" },
        { "host=@quiesced user=q", "q@@quiesced:5432/postgres" },
        { "host=localhost user='a b'", "a b@localhost:5432/postgres" },
        { "hostaddr=127.0.0.2 host=db.example user=q", "q@127.0.0.2:5432/postgres" },
        { "postgresql://q@[::1]:5434/d?sslmode=require", "q@::1:5434/d" },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        void *bench = NULL;

        assert_int_equal(bench_teardown(state), 0);
        assert_int_equal(bench_setup(state), 0);
        bench = *state;
        assert_int_equal(bench_option(bench, "conninfo", table[i].conninfo), 0);
        assert_int_equal(bench_ready(bench), 0);
        fake_connect_fails(table[i].who, "no");
        fake_close();
        assert_int_equal(bench_prepare(bench), -EREMOTEIO);
    }
}

static void test_conninfo_that_is_refused(void **state)
{
    static const struct {
        const char *conninfo;
        const char *words;
    } table[] = {
        { "host=/tmp password=secret", "'password', which cannot be there: use the key password" },
        { "postgresql://q:secret@localhost/d", "password-file" },
        { "passfile=/root/.pgpass", "passfile" },
        { "sslpassword=secret", "sslpassword" },
        { "replication=true", "replication" },
        { "host=a,b", "is a list: an app is one server" },
        { "port=1,2", "is a list" },
        { "host=db.example", "remote = yes" },
        { "hostaddr=192.0.2.1 host=localhost", "192.0.2.1" },
        { "service=x", "service-file" },
        { "user=q passwurd secret", "conninfo is no connection string" },
        { "nonsense", "missing \"=\"" },
        { "sslrootcert=/nowhere/ca.pem", "/nowhere/ca.pem" },
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_int_equal(bench_teardown(state), 0);
        assert_int_equal(bench_setup(state), 0);
        bench = *state;
        assert_int_equal(bench_option(bench, "conninfo", table[i].conninfo), 0);
        assert_true(bench_ready(bench) < 0);
        bench_assert_error(bench, table[i].words);
    }
}

static void test_a_remote_host_when_it_is_allowed(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(bench_option(bench, "conninfo", "host=db.example user=q"), 0);
    assert_int_equal(bench_option(bench, "remote", "yes"), 0);
    assert_int_equal(bench_ready(bench), 0);
    /* another machine's files are not looked for here */
    fake_connect("q@db.example:5432/postgres");
    fake_query(SQL_LIMITS_PREPARE, "");
    fake_query(SQL_IDENTIFY, "15.18|q|4711|on|on|/");
    fake_query(SQL_LIMITS_TRY, "");
    fake_query(SQL_CHECKPOINT, NULL);
    assert_int_equal(bench_prepare(bench), 0);
    assert_string_equal(bench->log, "");
    fake_close();
    bench_abort(bench);
}

static void test_options_that_are_refused(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(bench_option(bench, "remote", "maybe"), -EINVAL);
    bench_assert_error(bench, "maybe");
    assert_int_equal(bench_option(bench, "checkpoint", "never"), -EINVAL);
    bench_assert_error(bench, "'never' is none of required, try and no");
    assert_int_equal(bench_option(bench, "socket", "/x"), -EINVAL);
    assert_int_equal(bench_option(bench, "service-file", "/x"), 0);
    assert_int_equal(bench_ready(bench), -EINVAL);
    bench_assert_error(bench, "a service in conninfo");
}

/* A file with @text; its name is in @path. */
static void make_file(char *path, const char *text)
{
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
}

static void password_file(void **state, const char *text, const char *words)
{
    struct bench *bench = *state;
    char path[] = "/tmp/quiesced-test.XXXXXX";

    make_file(path, text);
    assert_int_equal(bench_option(bench, "conninfo", "user=quiesced"), 0);
    assert_int_equal(bench_option(bench, "password-file", path), 0);
    if (words != NULL) {
        assert_int_equal(bench_ready(bench), -EINVAL);
        bench_assert_error(bench, words);
    } else {
        assert_int_equal(bench_ready(bench), 0);
        fake_connect_fails(BENCH_WHO, "no");
        fake_close();
        assert_int_equal(bench_prepare(bench), -EREMOTEIO);
    }
    (void)unlink(path);
}

static void test_a_password_in_a_file(void **state)
{
    password_file(state, "secret\n", NULL);
}

static void test_a_password_file_of_two_lines(void **state)
{
    password_file(state, "one\nsecret\n", "is not one line");
}

static void test_an_empty_password_file(void **state)
{
    password_file(state, "\n", "is not one line");
}

static void test_a_password_file_and_a_password(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(bench_option(bench, "password", "secret"), 0);
    assert_int_equal(bench_option(bench, "password-file", "/nowhere"), 0);
    assert_int_equal(bench_ready(bench), -EINVAL);
    bench_assert_error(bench, "exclude each other");
}

static void test_a_password_file_that_is_not_there(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(bench_option(bench, "password-file", "/nowhere/at/all"), 0);
    assert_int_equal(bench_ready(bench), -ENOENT);
    bench_assert_error(bench, "'/nowhere/at/all', which should be private");
}

static void test_a_worker_without_trust(void **state)
{
    struct bench *bench = *state;

    bench->host.size = offsetof(struct quiesced_host, open_trusted);
    assert_int_equal(bench_option(bench, "password-file", "/etc/passwd"), 0);
    assert_int_equal(bench_ready(bench), -ENOSYS);
    bench_assert_error(bench, "the worker is older");
}

static void test_a_service(void **state)
{
    struct bench *bench = *state;
    char path[] = "/tmp/quiesced-test.XXXXXX";

    make_file(path, "[pg]\nhost=/tmp\nport=5435\nuser=s\n");
    assert_int_equal(bench_option(bench, "conninfo", "service=pg user=q"), 0);
    assert_int_equal(bench_option(bench, "service-file", path), 0);
    assert_int_equal(bench_ready(bench), 0);
    fake_connect_fails("q@/tmp:5435/postgres", "no");
    fake_close();
    assert_int_equal(bench_prepare(bench), -EREMOTEIO);
    (void)unlink(path);
}

static void service_refused(void **state, const char *text, const char *words)
{
    struct bench *bench = *state;
    char path[] = "/tmp/quiesced-test.XXXXXX";

    make_file(path, text);
    assert_int_equal(bench_option(bench, "conninfo", "service=pg"), 0);
    assert_int_equal(bench_option(bench, "service-file", path), 0);
    assert_true(bench_ready(bench) < 0);
    bench_assert_error(bench, words);
    (void)unlink(path);
}

static void test_a_service_that_is_not_there(void **state)
{
    service_refused(state, "[other]\nhost=/tmp\n", "has no service 'pg'");
}

static void test_a_service_with_a_password(void **state)
{
    service_refused(state, "[pg]\npassword=secret\n", "service-file has 'password'");
}

static void test_a_service_elsewhere(void **state)
{
    service_refused(state, "[pg]\nhost=db.example\n", "remote = yes");
}

static void test_a_service_that_names_another(void **state)
{
    service_refused(state, "[pg]\nservice=other\n", "a service within a service");
}

static void test_a_service_line_that_is_none(void **state)
{
    service_refused(state, "\n[pg]\nhost\n", "line 3 is neither");
}

static int collect(void *data, const char *key, const char *value)
{
    char *all = data;
    size_t used = strlen(all);

    (void)snprintf(all + used, 128 - used, "%s=%s;", key, value);
    return 0;
}

static void test_service_parse(void **state)
{
    char text[] =
        "# comment\nstray\n[a]\nx=1\n[ab]\nx=2\n  y=with blanks \r\n\nz==\n[c]\nx=3\n[ab]\nx=4";
    char all[128] = "";
    unsigned int line = 0;

    (void)state;
    assert_int_equal(service_parse(text, "ab", collect, all, &line), 0);
    assert_string_equal(all, "x=2;y=with blanks;z==;");
}

static void test_mounts(void **state)
{
    static const char line[] =
        "36 35 98:0 / /srv/a\\040b/pg_wal rw,noatime master:1 - ext4 /dev/root rw\n";

    (void)state;
    assert_true(layout_line_mounts(line, "/srv/a b/pg_wal"));
    assert_false(layout_line_mounts(line, "/srv/a b"));
    assert_false(layout_line_mounts(line, "/srv/a b/pg_wal/x"));
    assert_false(layout_line_mounts("36 35", "/"));
    assert_false(layout_line_mounts("1 2 3:4 / /a\\04", "/a "));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_conninfo_as_keywords_and_as_uri),
        TEST(test_conninfo_that_is_refused),
        TEST(test_a_remote_host_when_it_is_allowed),
        TEST(test_options_that_are_refused),
        TEST(test_a_password_in_a_file),
        TEST(test_a_password_file_of_two_lines),
        TEST(test_an_empty_password_file),
        TEST(test_a_password_file_and_a_password),
        TEST(test_a_password_file_that_is_not_there),
        TEST(test_a_worker_without_trust),
        TEST(test_a_service),
        TEST(test_a_service_that_is_not_there),
        TEST(test_a_service_with_a_password),
        TEST(test_a_service_elsewhere),
        TEST(test_a_service_that_names_another),
        TEST(test_a_service_line_that_is_none),
        cmocka_unit_test(test_service_parse),
        cmocka_unit_test(test_mounts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
