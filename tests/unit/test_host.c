/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_host.c: what a plugin may say, and how much of it */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/socket.h>

#include "files.h"
#include "host.h"
#include "util.h"
#include "wire.h"

struct bench {
    struct host host;
    const struct quiesced_host *api;
    int daemon;
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    int pair[2];

    files_check(bench != NULL, "calloc");
    files_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
    files_check(host_init(&bench->host, "main", pair[0]) == 0, "host_init");
    bench->api = &bench->host.api;
    bench->daemon = pair[1];
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    (void)close(bench->host.fd);
    (void)close(bench->daemon);
    host_clear(&bench->host);
    free(bench);
    return 0;
}

static void test_first_error_stays(void **state)
{
    struct bench *bench = *state;

    bench->api->error(bench->api, "cannot %s", "connect");
    bench->api->error(bench->api, "cannot prepare");
    assert_string_equal(bench->host.error, "cannot connect");
    host_error_forget(&bench->host);
    assert_null(bench->host.error);
}

static void test_error_is_one_bounded_line(void **state)
{
    struct bench *bench = *state;
    char text[4 * WIRE_TEXT_MAX];

    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    text[1] = '\n';
    text[2] = '\033';
    bench->api->error(bench->api, "%s", text);
    assert_int_equal(strlen(bench->host.error), WIRE_TEXT_MAX);
    assert_memory_equal(bench->host.error, "a??a", 4);
}

static void test_prefix(void **state)
{
    struct bench *bench = *state;

    host_error_prefix(&bench->host, "'%s'", "file");
    assert_null(bench->host.error);
    host_error(bench->api, "bad");
    host_error_prefix(&bench->host, "'%s' line %d", "file", 3);
    assert_string_equal(bench->host.error, "'file' line 3: bad");
}

static void test_log_is_a_packet(void **state)
{
    struct bench *bench = *state;
    json_object *packet = NULL;
    const char *text;

    bench->api->log(bench->api, QUIESCED_WARNING, "late\n%d", 1);
    assert_int_equal(wire_receive(bench->daemon, &packet), 0);
    assert_int_equal(wire_get_string(packet, "log", &text), 0);
    assert_string_equal(text, "warning");
    assert_int_equal(wire_get_string(packet, "message", &text), 0);
    assert_string_equal(text, "late?1");
    json_object_put(packet);
}

static void test_log_never_waits(void **state)
{
    struct bench *bench = *state;

    /* nobody reads; were it to wait, the test would not end */
    for (int i = 0; i < 100000; i++) {
        bench->api->log(bench->api, QUIESCED_DEBUG, "line %d", i);
    }
}

static int n_coordinates(const struct bench *bench)
{
    return json_object_object_length(bench->host.coordinates);
}

static void test_last_value_of_a_key_counts(void **state)
{
    struct bench *bench = *state;
    const char *text;

    bench->api->coordinate(bench->api, "binlog-file", "a");
    bench->api->coordinate(bench->api, "binlog-file", "b");
    assert_int_equal(n_coordinates(bench), 1);
    assert_int_equal(wire_get_string(bench->host.coordinates, "binlog-file", &text), 0);
    assert_string_equal(text, "b");
}

static void test_key_is_checked(void **state)
{
    static const char *const keys[] = { "",    "A",   "a b",
                                        "a_b", "a\n", "abcdefghijklmnopqrstuvwxyz1234567" };
    struct bench *bench = *state;

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        bench->api->coordinate(bench->api, keys[i], "1");
        assert_int_equal(n_coordinates(bench), 0);
    }
    bench->api->coordinate(bench->api, NULL, "1");
    bench->api->coordinate(bench->api, "key", NULL);
    assert_int_equal(n_coordinates(bench), 0);
    bench->api->coordinate(bench->api, "abcdefghijklmnopqrstuvwxyz123456", "1");
    assert_int_equal(n_coordinates(bench), 1);
}

static void test_number_of_coordinates_is_bounded(void **state)
{
    struct bench *bench = *state;
    char key[16];

    for (int i = 0; i < 2 * HOST_COORDINATES_MAX; i++) {
        (void)snprintf(key, sizeof(key), "key-%d", i);
        bench->api->coordinate(bench->api, key, "1");
    }
    assert_int_equal(n_coordinates(bench), HOST_COORDINATES_MAX);
    bench->api->coordinate(bench->api, "key-0", "2"); /* no new one */
    assert_string_equal(
        json_object_get_string(json_object_object_get(bench->host.coordinates, "key-0")), "2");
}

/* A cut GTID set would pass for a whole one. */
static void test_long_value_is_left_out(void **state)
{
    struct bench *bench = *state;
    char value[HOST_VALUE_MAX + 2];

    memset(value, '7', sizeof(value));
    value[HOST_VALUE_MAX + 1] = '\0';
    bench->api->coordinate(bench->api, "gtid", value);
    assert_int_equal(n_coordinates(bench), 0);
    value[HOST_VALUE_MAX] = '\0';
    bench->api->coordinate(bench->api, "gtid", value);
    assert_int_equal(n_coordinates(bench), 1);
}

/* Every quote becomes two bytes of JSON, and the reply is one packet. */
static void test_coordinates_fit_into_a_packet(void **state)
{
    struct bench *bench = *state;
    char value[HOST_VALUE_MAX + 1];
    char key[16];

    memset(value, '"', HOST_VALUE_MAX);
    value[HOST_VALUE_MAX] = '\0';
    for (int i = 0; i < HOST_COORDINATES_MAX; i++) {
        (void)snprintf(key, sizeof(key), "key-%d", i);
        bench->api->coordinate(bench->api, key, value);
        bench->api->coordinate(bench->api, "key-0", value);
    }
    assert_int_equal(n_coordinates(bench), HOST_COORDINATES_SIZE / HOST_VALUE_MAX);
    assert_int_equal(wire_send(bench->daemon, bench->host.coordinates), 0);
}

static void test_left_ms(void **state)
{
    struct bench *bench = *state;
    uint32_t left = bench->api->left_ms(bench->api, now_usec() + 60 * USEC_PER_SEC);

    assert_in_range(left, 1, 60000);
    assert_int_equal(bench->api->left_ms(bench->api, now_usec()), 0);
    assert_int_equal(bench->api->left_ms(bench->api, 0), 0);
}

/* What open_trusted() makes of @path: 0, and the file's first bytes are "text". */
static int opens(struct bench *bench, const char *path, uint32_t flags)
{
    char text[5] = "";
    int fd = -1;
    int r;

    host_error_forget(&bench->host);
    r = bench->api->open_trusted(bench->api, path, flags, &fd);
    if (r == 0) {
        assert_int_equal(read(fd, text, 4), 4);
        assert_string_equal(text, "text");
        assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        (void)close(fd);
    } else {
        assert_int_equal(fd, -1);
        assert_non_null(bench->host.error);
    }
    return r;
}

static void test_trusted_files_are_opened(void **state)
{
    struct bench *bench = *state;
    char *dir = files_new();
    char *path = files_path(dir, "file");

    files_write(dir, "file", "text");
    assert_int_equal(opens(bench, path, 0), 0);
    assert_int_equal(opens(bench, path, QUIESCED_OPEN_SECRET), -EPERM);
    assert_non_null(strstr(bench->host.error, "can be read by others"));
    files_mode(dir, "file", 0640);
    assert_int_equal(opens(bench, path, QUIESCED_OPEN_SECRET), 0);
    files_mode(dir, "file", 0660);
    assert_int_equal(opens(bench, path, 0), -EPERM);
    assert_non_null(strstr(bench->host.error, "writable by its group"));
    assert_int_equal(opens(bench, "file", 0), -EINVAL);
    files_remove(dir);
    free(path);
    free(dir);
}

static void test_a_bare_name_is_a_credential(void **state)
{
    struct bench *bench = *state;
    char *dir = files_new();

    files_write(dir, "file", "text");
    files_mode(dir, "file", 0440);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    assert_int_equal(opens(bench, "file", QUIESCED_OPEN_SECRET), -ENOENT);
    assert_non_null(strstr(bench->host.error, "LoadCredential=file:"));
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
    assert_int_equal(opens(bench, "file", QUIESCED_OPEN_SECRET), 0);
    assert_int_equal(opens(bench, "other", QUIESCED_OPEN_SECRET), -ENOENT);
    assert_int_equal(opens(bench, "..", QUIESCED_OPEN_SECRET), -EINVAL);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    files_remove(dir);
    free(dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first_error_stays),
        TEST(test_error_is_one_bounded_line),
        TEST(test_prefix),
        TEST(test_log_is_a_packet),
        TEST(test_log_never_waits),
        TEST(test_last_value_of_a_key_counts),
        TEST(test_key_is_checked),
        TEST(test_number_of_coordinates_is_bounded),
        TEST(test_long_value_is_left_out),
        TEST(test_coordinates_fit_into_a_packet),
        TEST(test_left_ms),
        TEST(test_trusted_files_are_opened),
        TEST(test_a_bare_name_is_a_credential),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
