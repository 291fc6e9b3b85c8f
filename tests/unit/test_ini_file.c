/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_ini_file.c: strict reading of INI files */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "files.h"
#include "ini_file.h"
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

static int ini_each(void *data, const char *section, const char *key, const char *value,
                    unsigned line, char **ret_error)
{
    (void)ret_error;
    if (key == NULL) {
        (void)fprintf(data, "%u [%s];", line, section);
    } else {
        (void)fprintf(data, "%u %s=%s;", line, key, value);
    }
    return 0;
}

/* Reads @data as a file; what came of it, or the error behind the file's name. */
static char *read_ini(const char *dir, const char *data, size_t size)
{
    CLEANUP_FREE char *path = files_path(dir, "f");
    CLEANUP_FREE char *error = NULL;
    char *text = NULL;
    size_t text_size = 0;
    FILE *stream = open_memstream(&text, &text_size);
    int r;

    files_write_bytes(dir, "f", data, size);
    r = ini_file_read(path, ini_each, stream, NULL, &error);
    assert_int_equal(fclose(stream), 0);
    if (r == 0) {
        assert_null(error);
        return text;
    }
    free(text);
    assert_memory_equal(error + 1, path, strlen(path));
    return strdup(error + strlen(path) + 3);
}

static void expect_ini(const char *dir, const char *data, const char *expected)
{
    CLEANUP_FREE char *text = read_ini(dir, data, strlen(data));

    assert_string_equal(text, expected);
}

static void test_forms_that_are_read(void **state)
{
    expect_ini(*state, "[a]\nb=c", "1 [a];2 b=c;");
    expect_ini(*state, "\xef\xbb\xbf[a]\r\nb = c d \r\n", "1 [a];2 b=c d;");
    expect_ini(*state, "[a]\n;x\n#y\n\n\tb : c\n", "1 [a];5 b=c;");
    expect_ini(*state, "[a]\nb=\n[a]\n[c]\n", "1 [a];2 b=;3 [a];4 [c];");
    expect_ini(*state, "[a]\nb=x;y\nc=#z\n", "1 [a];2 b=x;y;3 c=#z;");
    expect_ini(*state, "", "");
}

static void test_continues_no_line(void **state)
{
    expect_ini(*state, "[a]\nb = c\n  d = e\n", "1 [a];2 b=c;3 d=e;");
    expect_ini(*state, "[a]\nb = c\n  more\n", "line 3: not a 'key = value'");
}

static void test_forms_that_are_refused(void **state)
{
    const char *semicolon = "line 2: a ';' after a blank is not possible in a value, and a "
                            "comment must stand on its own line";
    const char *section = "line 1: not a section: it must be '[name]' and nothing else";

    expect_ini(*state, "[a]\nb = c ;d\n", semicolon);
    expect_ini(*state, "[a]\nb = ;d\n", semicolon);
    expect_ini(*state, "[a]\nb = c\t;d\n", semicolon);
    expect_ini(*state, "[a] b\n", section);
    expect_ini(*state, "[a\n", section);
    expect_ini(*state, "[\n", section);
    expect_ini(*state, "[a]b]\n", section);
    expect_ini(*state, "[a]\nb = \x1b[0m\n", "line 2: there is a control character in the line");
    expect_ini(*state, "[a]\n= b\n", "line 2: not a 'key = value'");
    expect_ini(*state, "[aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee]\n",
               "line 1: the section's name is too long");
}

static void test_nul_byte_is_refused(void **state)
{
    static const char data[] = "[a]\nb = c\0d\n";
    CLEANUP_FREE char *text = read_ini(*state, data, sizeof(data) - 1);

    assert_string_equal(text, "line 2: there is a control character in the line");
}

static void test_long_line_is_refused_and_not_split(void **state)
{
    char data[INI_FILE_LINE_MAX + 8] = "[a]\nb=";
    CLEANUP_FREE char *text = NULL;
    CLEANUP_FREE char *error = NULL;

    memset(data + 6, 'x', INI_FILE_LINE_MAX);
    data[4 + INI_FILE_LINE_MAX] = '\0';
    text = read_ini(*state, data, strlen(data));
    assert_int_equal(strlen(text), strlen("1 [a];2 ;") + INI_FILE_LINE_MAX);
    data[4 + INI_FILE_LINE_MAX] = 'x';
    data[5 + INI_FILE_LINE_MAX] = '\0';
    error = read_ini(*state, data, strlen(data));
    assert_string_equal(error, "line 2: the line is longer than 197 bytes");
}

static void test_long_comment_is_read(void **state)
{
    char data[1000] = "[a]\n#";

    memset(data + 5, 'x', sizeof(data) - 6);
    expect_ini(*state, data, "1 [a];");
}

static void test_big_file_is_refused(void **state)
{
    CLEANUP_FREE char *data = malloc(INI_FILE_SIZE_MAX + 1);
    CLEANUP_FREE char *good = NULL;
    CLEANUP_FREE char *error = NULL;

    assert_non_null(data);
    memset(data, '\n', INI_FILE_SIZE_MAX + 1);
    good = read_ini(*state, data, INI_FILE_SIZE_MAX);
    assert_string_equal(good, "");
    error = read_ini(*state, data, INI_FILE_SIZE_MAX + 1);
    assert_string_equal(error, "is longer than 65536 bytes");
}

static void test_too_many_keys_are_refused(void **state)
{
    char data[INI_FILE_KEYS_MAX * 8 + 16] = "[a]\n";
    CLEANUP_FREE char *text = NULL;
    size_t at = 4;

    for (unsigned i = 0; i <= INI_FILE_KEYS_MAX; i++) {
        at += (size_t)snprintf(data + at, sizeof(data) - at, "%u=x\n", i);
    }
    text = read_ini(*state, data, at);
    assert_string_equal(text, "line 258: there are too many keys in the file");
}

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        uint64_t usec; /* UINT64_MAX: refused */
    } table[] = {
        { "0s", 0 },
        { "250ms", 250 * USEC_PER_MSEC },
        { "20s", 20 * USEC_PER_SEC },
        { "2min", 120 * USEC_PER_SEC },
        { "", UINT64_MAX },
        { "0", UINT64_MAX },
        { "s", UINT64_MAX },
        { "-1s", UINT64_MAX },
        { "+1s", UINT64_MAX },
        { " 1s", UINT64_MAX },
        { "1 s", UINT64_MAX },
        { "1.5s", UINT64_MAX },
        { "1S", UINT64_MAX },
        { "1h", UINT64_MAX },
        { "1s ", UINT64_MAX },
        { "0x1s", UINT64_MAX },
        { "18446744073709551616ms", UINT64_MAX },
        { "18446744073709551615min", UINT64_MAX },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        uint64_t usec = UINT64_MAX;
        int r = ini_file_duration(table[i].text, &usec);

        assert_int_equal(r, table[i].usec == UINT64_MAX ? -EINVAL : 0);
        assert_int_equal(usec, table[i].usec);
    }
}

static void test_nearest_word_is_near(void **state)
{
    static const char *const known[] = { "socket", "user", "password", "port" };

    (void)state;
    assert_string_equal(ini_file_nearest("scoket", known, 4), "socket");
    assert_string_equal(ini_file_nearest("passwort", known, 4), "password");
    assert_string_equal(ini_file_nearest("prt", known, 4), "port");
    assert_null(ini_file_nearest("colour", known, 4));
    assert_null(ini_file_nearest("", known, 4));
    assert_null(ini_file_nearest("socket", known, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_forms_that_are_read),
        TEST(test_continues_no_line),
        TEST(test_forms_that_are_refused),
        TEST(test_nul_byte_is_refused),
        TEST(test_long_line_is_refused_and_not_split),
        TEST(test_long_comment_is_read),
        TEST(test_big_file_is_refused),
        TEST(test_too_many_keys_are_refused),
        TEST(test_durations),
        TEST(test_nearest_word_is_near),
    };

    return cmocka_run_group_tests_name("ini_file", tests, NULL, NULL);
}
