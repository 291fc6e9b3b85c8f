/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_journal.c: entries for the journal, sent without ever waiting
 *
 * The test is the journal, and what reads stderr. A call that waits would hang it.
 */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <endian.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "files.h"
#include "journal.h"
#include "util.h"

struct fixture {
    char *dir;
    char *path;
    int socket;        /* the journal's, or -1 */
    int stderr_read;   /* what comes out of the pipe that stderr is, or -1 */
    int stderr_before; /* the real one */
    struct journal *journal;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    fixture->dir = files_new();
    fixture->path = files_path(fixture->dir, "socket");
    fixture->socket = -1;
    fixture->stderr_read = -1;
    fixture->stderr_before = -1;
    *state = fixture;
    return 0;
}

static void restore_stderr(struct fixture *fixture)
{
    if (fixture->stderr_before >= 0) {
        (void)dup2(fixture->stderr_before, STDERR_FILENO);
        fixture->stderr_before = util_close(fixture->stderr_before);
    }
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    fixture->stderr_read = util_close(fixture->stderr_read);
    fixture->journal = journal_close(fixture->journal);
    restore_stderr(fixture);
    fixture->socket = util_close(fixture->socket);
    files_remove(fixture->dir);
    free(fixture->path);
    free(fixture->dir);
    free(fixture);
    return 0;
}

static void be_journal(struct fixture *fixture)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->path);
    fixture->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fixture->socket, (struct sockaddr *)&address, sizeof(address)), 0);
}

/* stderr becomes a pipe that we read, without waiting; its other end waits. */
static void be_stderr(struct fixture *fixture)
{
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    fixture->stderr_before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    assert_true(fixture->stderr_before >= 0);
    assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
    (void)close(fds[1]);
    fixture->stderr_read = fds[0];
}

static struct journal *open_journal(struct fixture *fixture, enum journal_fallback fallback)
{
    assert_int_equal(journal_open_at("test", fallback, fixture->path, &fixture->journal), 0);
    return fixture->journal;
}

/* One entry, or "" when there is none. *ret_size is written in any case. */
static char *receive(struct fixture *fixture, size_t *ret_size)
{
    char *data = calloc(1, 256 * 1024);
    ssize_t n;

    assert_non_null(data);
    n = recv(fixture->socket, data, 256 * 1024 - 1, 0);
    *ret_size = n < 0 ? 0 : (size_t)n;
    return data;
}

static void expect_entry_with(struct fixture *fixture, const char *part)
{
    size_t size;
    CLEANUP_FREE char *data = receive(fixture, &size);

    if (memmem(data, size, part, strlen(part)) == NULL) {
        fail_msg("'%s' is not in '%s'", part, data);
    }
}

static void expect_no_entry(struct fixture *fixture)
{
    char byte;

    assert_int_equal(recv(fixture->socket, &byte, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
}

static void expect_stderr(struct fixture *fixture, const char *expected)
{
    char data[PIPE_BUF + 1] = { 0 };
    ssize_t n = read(fixture->stderr_read, data, sizeof(data) - 1);

    assert_string_equal(n > 0 ? data : "", expected);
}

/* Entries until the journal takes no more. How many it took. */
static unsigned fill_journal(struct fixture *fixture)
{
    unsigned n = 0;

    while (!journal_pending(fixture->journal)) {
        journal_log(fixture->journal, LOG_INFO, NULL, "entry %u", n);
        n++;
    }
    return n - 1;
}

static void test_entry_has_message_priority_and_fields(void **state)
{
    static const struct journal_field fields[] = {
        { "QUIESCED_APP", "db" },
        { "QUIESCED_NONE", NULL },
        { "QUIESCED_EMPTY", "" },
        { NULL, NULL },
    };
    struct fixture *fixture = *state;
    uint64_t before = wall_usec();
    uint64_t after;
    size_t size;
    CLEANUP_FREE char *data = NULL;
    unsigned long long time;
    char *end;

    be_journal(fixture);
    open_journal(fixture, JOURNAL_OR_STDERR);
    journal_log(fixture->journal, LOG_ERR, fields, "app '%s' failed", "db");
    after = wall_usec();
    data = receive(fixture, &size);
    end = strstr(data, "QUIESCED_TIME_USEC=");
    assert_non_null(end);
    time = strtoull(end + strlen("QUIESCED_TIME_USEC="), &end, 10);
    assert_in_range(time, before, after);
    assert_string_equal(end, "\nQUIESCED_APP=db\nQUIESCED_EMPTY=\n");
    assert_memory_equal(data, "MESSAGE=app 'db' failed\nPRIORITY=3\nSYSLOG_IDENTIFIER=test\n", 57);
    assert_false(journal_pending(fixture->journal));
}

static void test_text_of_several_lines_has_its_length(void **state)
{
    struct fixture *fixture = *state;
    uint64_t length;
    size_t size;
    CLEANUP_FREE char *data = NULL;

    be_journal(fixture);
    open_journal(fixture, JOURNAL_OR_STDERR);
    journal_log(fixture->journal, LOG_INFO, NULL, "one\nPRIORITY=0");
    data = receive(fixture, &size);
    assert_memory_equal(data, "MESSAGE\n", 8);
    memcpy(&length, data + 8, sizeof(length));
    assert_int_equal(le64toh(length), 14);
    assert_memory_equal(data + 16, "one\nPRIORITY=0\nPRIORITY=6\n", 26);
}

static void test_long_texts_are_cut_between_characters(void **state)
{
    static char text[80 * 1024];
    const struct journal_field fields[] = {
        { "A", text }, { "B", text }, { "C", text }, { "D", text }, { "E", text },
        { "F", text }, { "G", text }, { "H", text }, { "I", text }, { NULL, NULL },
    };
    struct fixture *fixture = *state;
    size_t size;
    CLEANUP_FREE char *data = NULL;
    const char *end;

    memset(text, 'a', sizeof(text) - 1);
    memcpy(text + 32 * 1024 - 1, "\xc3\xbc", 2);
    be_journal(fixture);
    open_journal(fixture, JOURNAL_OR_STDERR);
    journal_log(fixture->journal, LOG_INFO, fields, "%s", text);
    data = receive(fixture, &size);
    assert_in_range(size, 60 * 1024, 64 * 1024);
    end = memchr(data, '\n', size);
    assert_int_equal(end - data, strlen("MESSAGE=") + 32 * 1024 - 1);
    assert_non_null(memmem(data, size, "\nG=a", 4));
    assert_null(memmem(data, size, "\nH=a", 4));
}

static void test_refused_entries_wait_in_order(void **state)
{
    struct fixture *fixture = *state;
    unsigned n;

    be_journal(fixture);
    open_journal(fixture, JOURNAL_OR_STDERR);
    n = fill_journal(fixture);
    journal_log(fixture->journal, LOG_INFO, NULL, "the last");
    assert_false(journal_flush(fixture->journal));
    for (unsigned i = 0; i <= n + 1; i++) {
        char part[32];

        (void)snprintf(part, sizeof(part), "MESSAGE=entry %u\n", i);
        expect_entry_with(fixture, i <= n ? part : "MESSAGE=the last\n");
        (void)journal_flush(fixture->journal);
    }
    assert_false(journal_pending(fixture->journal));
    expect_no_entry(fixture);
}

static void test_close_flushes_once(void **state)
{
    struct fixture *fixture = *state;
    unsigned n;

    be_journal(fixture);
    open_journal(fixture, JOURNAL_OR_STDERR);
    n = fill_journal(fixture);
    for (unsigned i = 0; i < n; i++) {
        expect_entry_with(fixture, "MESSAGE=entry ");
    }
    fixture->journal = journal_close(fixture->journal);
    assert_null(fixture->journal);
    expect_entry_with(fixture, "MESSAGE=entry ");
    expect_no_entry(fixture);
}

/* Logs @n texts against a full journal, and expects that @kept of them arrive and
 * that the rest is told. */
static void expect_dropped(struct fixture *fixture, unsigned n, const char *text, unsigned kept)
{
    CLEANUP_FREE char *told = NULL;
    unsigned taken;

    be_journal(fixture);
    open_journal(fixture, JOURNAL_OR_STDERR);
    taken = fill_journal(fixture) + 1; /* one of them waits */
    for (unsigned i = 0; i < n; i++) {
        journal_log(fixture->journal, LOG_INFO, NULL, "%s", text);
    }
    for (unsigned i = 0; i < taken + kept; i++) {
        expect_entry_with(fixture, i < taken ? "MESSAGE=entry " : text);
        (void)journal_flush(fixture->journal);
    }
    assert_true(asprintf(&told, "MESSAGE=%u log entries were dropped\nPRIORITY=4\n", n - kept) > 0);
    expect_entry_with(fixture, told);
    expect_no_entry(fixture);
    assert_false(journal_pending(fixture->journal));
}

static void test_ring_has_a_bounded_number_of_entries(void **state)
{
    expect_dropped(*state, 600, "text", 511);
}

static void test_ring_has_a_bounded_size(void **state)
{
    static char text[32 * 1024 + 1];

    memset(text, 'a', sizeof(text) - 1);
    expect_dropped(*state, 12, text, 7);
}

static void test_no_journal_means_stderr(void **state)
{
    struct fixture *fixture = *state;

    be_stderr(fixture);
    open_journal(fixture, JOURNAL_OR_STDERR);
    journal_log(fixture->journal, LOG_INFO, NULL, "one\x1b[31m\ntwo\x7f");
    expect_stderr(fixture, "test: one?[31m?two?\n");
    assert_false(journal_pending(fixture->journal));
}

static void test_no_journal_means_nothing_if_told(void **state)
{
    struct fixture *fixture = *state;

    be_stderr(fixture);
    open_journal(fixture, JOURNAL_OR_NOTHING);
    journal_log(fixture->journal, LOG_INFO, NULL, "text");
    expect_stderr(fixture, "");
    assert_false(journal_pending(fixture->journal));
}

static void test_journal_that_comes_later_is_used(void **state)
{
    struct fixture *fixture = *state;

    be_stderr(fixture);
    open_journal(fixture, JOURNAL_OR_STDERR);
    journal_log(fixture->journal, LOG_INFO, NULL, "one");
    be_journal(fixture);
    journal_log(fixture->journal, LOG_INFO, NULL, "two");
    expect_stderr(fixture, "test: one\n");
    expect_entry_with(fixture, "MESSAGE=two\n");
}

static void test_nothing_is_written_while_held(void **state)
{
    struct fixture *fixture = *state;

    be_stderr(fixture);
    open_journal(fixture, JOURNAL_OR_STDERR);
    journal_hold(fixture->journal, true);
    journal_log(fixture->journal, LOG_INFO, NULL, "one");
    assert_false(journal_flush(fixture->journal));
    expect_stderr(fixture, "");
    journal_hold(fixture->journal, false);
    expect_stderr(fixture, "test: one\n");
    assert_false(journal_pending(fixture->journal));
}

static void test_journal_is_used_while_held(void **state)
{
    struct fixture *fixture = *state;

    be_journal(fixture);
    open_journal(fixture, JOURNAL_OR_STDERR);
    journal_hold(fixture->journal, true);
    journal_log(fixture->journal, LOG_INFO, NULL, "one");
    expect_entry_with(fixture, "MESSAGE=one\n");
}

/* Writes to stderr until it is full. */
static void fill_stderr(void)
{
    char data[PIPE_BUF] = { 0 };

    assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK), 0);
    while (write(STDERR_FILENO, data, sizeof(data)) > 0) {
    }
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, 0), 0);
}

static void test_full_stderr_is_not_waited_for(void **state)
{
    struct fixture *fixture = *state;
    char data[PIPE_BUF];

    be_stderr(fixture);
    open_journal(fixture, JOURNAL_OR_STDERR);
    fill_stderr();
    journal_log(fixture->journal, LOG_INFO, NULL, "one");
    assert_true(journal_pending(fixture->journal));
    while (read(fixture->stderr_read, data, sizeof(data)) > 0) {
    }
    assert_true(journal_flush(fixture->journal));
    expect_stderr(fixture, "test: one\n");
}

static void test_closed_stderr_kills_nobody(void **state)
{
    struct fixture *fixture = *state;

    be_stderr(fixture);
    open_journal(fixture, JOURNAL_OR_STDERR);
    fixture->stderr_read = util_close(fixture->stderr_read);
    journal_log(fixture->journal, LOG_INFO, NULL, "one");
    assert_false(journal_pending(fixture->journal));
    assert_int_equal(close(STDERR_FILENO), 0);
    journal_log(fixture->journal, LOG_INFO, NULL, "one");
    assert_false(journal_pending(fixture->journal));
}

static void test_stderr_that_is_a_socket_is_not_waited_for(void **state)
{
    struct fixture *fixture = *state;
    char data[PIPE_BUF];
    int fds[2];

    be_stderr(fixture);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
    (void)close(fds[1]);
    open_journal(fixture, JOURNAL_OR_STDERR);
    while (!journal_pending(fixture->journal)) {
        journal_log(fixture->journal, LOG_INFO, NULL, "one");
    }
    while (recv(fds[0], data, sizeof(data), MSG_DONTWAIT) > 0) {
    }
    assert_true(journal_flush(fixture->journal));
    assert_int_equal(recv(fds[0], data, sizeof(data), MSG_DONTWAIT), 10);
    assert_memory_equal(data, "test: one\n", 10);
    (void)close(fds[0]);
}

static void test_line_of_stderr_fits_a_pipe(void **state)
{
    struct fixture *fixture = *state;
    char text[2 * PIPE_BUF];
    char data[2 * PIPE_BUF];
    ssize_t n;

    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    be_stderr(fixture);
    open_journal(fixture, JOURNAL_OR_STDERR);
    journal_log(fixture->journal, LOG_INFO, NULL, "%s", text);
    n = read(fixture->stderr_read, data, sizeof(data));
    assert_int_equal(n, PIPE_BUF);
    assert_int_equal(data[n - 1], '\n');
}

static void test_errno_is_kept(void **state)
{
    struct fixture *fixture = *state;

    be_stderr(fixture);
    open_journal(fixture, JOURNAL_OR_STDERR);
    errno = EXDEV;
    journal_log(fixture->journal, LOG_INFO, NULL, "%m");
    assert_int_equal(errno, EXDEV);
    expect_stderr(fixture, "test: Invalid cross-device link\n");
}

static void test_no_journal_at_all_does_nothing(void **state)
{
    (void)state;
    journal_log(NULL, LOG_INFO, NULL, "text");
    journal_hold(NULL, true);
    assert_false(journal_pending(NULL));
    assert_true(journal_flush(NULL));
    assert_null(journal_close(NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_entry_has_message_priority_and_fields),
        TEST(test_text_of_several_lines_has_its_length),
        TEST(test_long_texts_are_cut_between_characters),
        TEST(test_refused_entries_wait_in_order),
        TEST(test_close_flushes_once),
        TEST(test_ring_has_a_bounded_number_of_entries),
        TEST(test_ring_has_a_bounded_size),
        TEST(test_no_journal_means_stderr),
        TEST(test_no_journal_means_nothing_if_told),
        TEST(test_journal_that_comes_later_is_used),
        TEST(test_nothing_is_written_while_held),
        TEST(test_journal_is_used_while_held),
        TEST(test_full_stderr_is_not_waited_for),
        TEST(test_closed_stderr_kills_nobody),
        TEST(test_stderr_that_is_a_socket_is_not_waited_for),
        TEST(test_line_of_stderr_fits_a_pipe),
        TEST(test_errno_is_kept),
        TEST(test_no_journal_at_all_does_nothing),
    };

    return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
