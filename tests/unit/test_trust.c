/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_trust.c: which files may be believed */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "files.h"
#include "trust.h"
#include "util.h"

#define STRANGER 54321U

static int setup(void **state)
{
    char *dir = files_new();

    files_write(dir, "file", "content");
    files_mkdir(dir, "dir", 0755);
    files_write(dir, "dir/file", "inner");
    *state = dir;
    return 0;
}

static int teardown(void **state)
{
    files_remove(*state);
    free(*state);
    return 0;
}

static void give_to_stranger(const char *dir, const char *name)
{
    char *path = files_path(dir, name);

    files_check(lchown(path, STRANGER, STRANGER) == 0, path);
    free(path);
}

/* Expects @name in @dir to open, with @content if that is not NULL. */
static void expect_open(const char *dir, const char *name, enum trust_kind kind,
                        const char *content)
{
    CLEANUP_FREE char *path = files_path(dir, name);
    CLEANUP_FREE char *why = NULL;
    CLEANUP_CLOSE int fd = -1;
    char data[16] = { 0 };
    struct stat st;
    int r;

    r = trust_open(path, kind, &fd, &st, &why);
    if (r < 0) {
        fail_msg("%s: %s", path, why);
    }
    assert_int_not_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    if (content != NULL) {
        assert_int_equal(read(fd, data, sizeof(data) - 1), (int)strlen(content));
        assert_string_equal(data, content);
        assert_int_equal(st.st_size, (int)strlen(content));
    }
}

/* Expects @r, and @part in what is said of it; the outputs must stay as they are. */
static void expect_refused(const char *dir, const char *name, enum trust_kind kind, int expected,
                           const char *part)
{
    CLEANUP_FREE char *path = files_path(dir, name);
    CLEANUP_FREE char *why = NULL;
    struct stat st = { .st_size = 4711 };
    int fd = -42;

    assert_int_equal(trust_open(path, kind, &fd, &st, &why), expected);
    assert_int_equal(fd, -42);
    assert_int_equal(st.st_size, 4711);
    assert_non_null(why);
    if (strstr(why, part) == NULL) {
        fail_msg("'%s' is not in \"%s\"", part, why);
    }
}

static void test_own_file_opens(void **state)
{
    expect_open(*state, "file", TRUST_FILE, "content");
    expect_open(*state, "dir/file", TRUST_FILE, "inner");
}

static void test_own_directory_opens(void **state)
{
    expect_open(*state, "dir", TRUST_DIRECTORY, NULL);
    expect_open(*state, "dir/", TRUST_DIRECTORY, NULL);
    expect_open(*state, "dir/..", TRUST_DIRECTORY, NULL);
    expect_open(*state, "dir/.", TRUST_DIRECTORY, NULL);
    expect_open("", "", TRUST_DIRECTORY, NULL);
}

static void test_relative_path_is_refused(void **state)
{
    CLEANUP_FREE char *why = NULL;
    int fd = -1;

    (void)state;
    assert_int_equal(trust_open("tmp", TRUST_DIRECTORY, &fd, NULL, &why), -EINVAL);
    assert_string_equal(why, "'tmp' is not an absolute path");
}

static void test_missing_file_is_enoent(void **state)
{
    expect_refused(*state, "none", TRUST_FILE, -ENOENT, "/none': No such file");
    expect_refused(*state, "none/none", TRUST_FILE, -ENOENT, "/none': No such file");
}

static void test_writable_file_is_refused(void **state)
{
    files_mode(*state, "file", 0664);
    expect_refused(*state, "file", TRUST_FILE, -EPERM, "/file' is writable by its group");
    files_mode(*state, "file", 0646);
    expect_refused(*state, "file", TRUST_FILE, -EPERM, "/file' is writable by others");
}

static void test_sticky_bit_does_not_help_a_file(void **state)
{
    files_mode(*state, "file", 01646);
    expect_refused(*state, "file", TRUST_FILE, -EPERM, "/file' is writable by others");
}

static void test_writable_parent_is_refused(void **state)
{
    files_mode(*state, "dir", 0775);
    expect_refused(*state, "dir/file", TRUST_FILE, -EPERM, "/dir' is writable by its group");
    files_mode(*state, "dir", 0757);
    expect_refused(*state, "dir/file", TRUST_FILE, -EPERM, "/dir' is writable by others");
}

static void test_sticky_parent_passes(void **state)
{
    files_mode(*state, "dir", 01777);
    expect_open(*state, "dir/file", TRUST_FILE, "inner");
}

static void test_sticky_directory_itself_is_refused(void **state)
{
    files_mode(*state, "dir", 01777);
    expect_refused(*state, "dir", TRUST_DIRECTORY, -EPERM, "/dir' is writable by others");
    expect_refused(*state, "dir/.", TRUST_DIRECTORY, -EPERM, "/dir/.' is writable by others");
}

static void test_strangers_file_is_refused(void **state)
{
    if (geteuid() != 0) {
        skip();
    }
    give_to_stranger(*state, "dir/file");
    expect_refused(*state, "dir/file", TRUST_FILE, -EPERM,
                   "/dir/file' belongs to user 54321, not to root");
    files_mode(*state, "dir", 01777);
    expect_refused(*state, "dir/file", TRUST_FILE, -EPERM, "belongs to user 54321");
}

static void test_strangers_directory_is_refused(void **state)
{
    if (geteuid() != 0) {
        skip();
    }
    give_to_stranger(*state, "dir");
    expect_refused(*state, "dir/file", TRUST_FILE, -EPERM, "/dir' belongs to user 54321");
    expect_refused(*state, "dir/../file", TRUST_FILE, -EPERM, "/dir' belongs to user 54321");
}

static void test_strangers_link_is_refused(void **state)
{
    if (geteuid() != 0) {
        skip();
    }
    files_link(*state, "link", "file");
    expect_open(*state, "link", TRUST_FILE, "content");
    give_to_stranger(*state, "link");
    expect_refused(*state, "link", TRUST_FILE, -EPERM, "/link' belongs to user 54321");
}

static void test_other_user_trusts_root_and_himself(void **state)
{
    if (geteuid() != 0) {
        skip();
    }
    files_write(*state, "his", "his");
    give_to_stranger(*state, "his");
    assert_int_equal(seteuid(STRANGER), 0);
    expect_open(*state, "file", TRUST_FILE, "content");
    expect_open(*state, "his", TRUST_FILE, "his");
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(seteuid(STRANGER + 1), 0);
    expect_refused(*state, "his", TRUST_FILE, -EPERM,
                   "/his' belongs to user 54321, neither to root nor to user 54322");
    assert_int_equal(seteuid(0), 0);
}

static void test_links_are_followed(void **state)
{
    CLEANUP_FREE char *inner = files_path(*state, "dir/file");

    files_link(*state, "to-dir", "dir");
    files_link(*state, "dir/up", "../file");
    files_link(*state, "absolute", inner);
    files_link(*state, "twice", "to-dir/up");
    expect_open(*state, "to-dir/file", TRUST_FILE, "inner");
    expect_open(*state, "dir/up", TRUST_FILE, "content");
    expect_open(*state, "absolute", TRUST_FILE, "inner");
    expect_open(*state, "twice", TRUST_FILE, "content");
    expect_open(*state, "to-dir", TRUST_DIRECTORY, NULL);
}

static void test_way_of_a_link_is_judged(void **state)
{
    files_mkdir(*state, "open", 0777);
    files_write(*state, "open/file", "x");
    files_link(*state, "link", "open/file");
    expect_refused(*state, "link", TRUST_FILE, -EPERM, "/open' is writable by others");
}

static void test_link_to_nothing_is_no_missing_file(void **state)
{
    files_link(*state, "link", "gone");
    files_link(*state, "below", "gone/deep");
    expect_refused(*state, "link", TRUST_FILE, -ENOLINK, "/gone', to which a symbolic link leads");
    expect_refused(*state, "link/file", TRUST_FILE, -ENOLINK, "/gone'");
    expect_refused(*state, "below", TRUST_FILE, -ENOLINK, "/gone'");
}

static void test_missing_file_behind_a_link_is_enoent(void **state)
{
    files_link(*state, "link", "dir");
    expect_refused(*state, "link/none", TRUST_FILE, -ENOENT, "/dir/none'");
}

static void test_loop_of_links_ends(void **state)
{
    files_link(*state, "a", "b");
    files_link(*state, "b", "a");
    expect_refused(*state, "a", TRUST_FILE, -ELOOP, "too many symbolic links");
}

static void test_other_kind_is_refused(void **state)
{
    expect_refused(*state, "dir", TRUST_FILE, -EINVAL, "/dir' is not a regular file");
    expect_refused(*state, "file", TRUST_DIRECTORY, -EINVAL, "/file' is not a directory");
}

static void test_fifo_does_not_hang(void **state)
{
    CLEANUP_FREE char *path = files_path(*state, "fifo");

    assert_int_equal(mkfifo(path, 0644), 0);
    expect_refused(*state, "fifo", TRUST_FILE, -EINVAL, "/fifo' is not a regular file");
}

static void test_file_on_the_way_is_refused(void **state)
{
    expect_refused(*state, "file/x", TRUST_FILE, -ENOTDIR, "/file': Not a directory");
    expect_refused(*state, "file/", TRUST_FILE, -ENOTDIR, "/file': Not a directory");
}

static void test_long_names_are_refused(void **state)
{
    char name[5000];

    memset(name, 'a', sizeof(name));
    name[256] = '\0';
    expect_refused(*state, name, TRUST_FILE, -ENAMETOOLONG, "is too long");
    memset(name, '/', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    expect_refused(*state, name, TRUST_FILE, -ENAMETOOLONG, "is too long a path");
}

static void test_reason_need_not_be_asked_for(void **state)
{
    int fd = -1;

    (void)state;
    assert_int_equal(trust_open("/nonexistent", TRUST_FILE, &fd, NULL, NULL), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_own_file_opens),
        TEST(test_own_directory_opens),
        TEST(test_relative_path_is_refused),
        TEST(test_missing_file_is_enoent),
        TEST(test_writable_file_is_refused),
        TEST(test_sticky_bit_does_not_help_a_file),
        TEST(test_writable_parent_is_refused),
        TEST(test_sticky_parent_passes),
        TEST(test_sticky_directory_itself_is_refused),
        TEST(test_strangers_file_is_refused),
        TEST(test_strangers_directory_is_refused),
        TEST(test_strangers_link_is_refused),
        TEST(test_other_user_trusts_root_and_himself),
        TEST(test_links_are_followed),
        TEST(test_way_of_a_link_is_judged),
        TEST(test_link_to_nothing_is_no_missing_file),
        TEST(test_missing_file_behind_a_link_is_enoent),
        TEST(test_loop_of_links_ends),
        TEST(test_other_kind_is_refused),
        TEST(test_fifo_does_not_hang),
        TEST(test_file_on_the_way_is_refused),
        TEST(test_long_names_are_refused),
        TEST(test_reason_need_not_be_asked_for),
    };

    return cmocka_run_group_tests_name("trust", tests, NULL, NULL);
}
