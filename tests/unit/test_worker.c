/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_worker.c: the real quiesced-worker, in good and in bad times */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "files.h"
#include "util.h"
#include "wire.h"
#include "worker_bench.h"

static void test_whole_cycle(void **state)
{
    struct bench *bench = *state;

    assert_held(bench, LONG_HOLD);
    ask(bench, "check");
    assert_reply(bench, "check", "ok", NULL);
    assert_true(application_waits(bench));
    ask(bench, "thaw");
    assert_reply(bench, "thaw", "ok", NULL);
    assert_end(bench);
    assert_exits(bench, 0);
    assert_false(application_waits(bench));
    assert_string_equal(bench->calls, "create ready prepare freeze check thaw destroy ");
}

static void test_replies_carry_what_was_collected(void **state)
{
    struct bench *bench = *state;
    json_object *coordinates = NULL;
    json_object *reply;

    bench_start(bench);
    ask_prepare(bench);
    reply = bench_reply(bench);
    assert_member(reply, "server", "Fixture 1.0");
    assert_member(reply, "method", NULL);
    assert_member(reply, "coordinates", NULL);
    (void)json_object_put(reply);
    ask_freeze(bench, LONG_HOLD);
    reply = bench_reply(bench);
    assert_member(reply, "server", "Fixture 1.0");
    assert_member(reply, "method", "flock");
    assert_int_equal(wire_get_object(reply, "coordinates", &coordinates), 0);
    assert_int_equal(json_object_object_length(coordinates), 1);
    assert_member(coordinates, "position", "42");
    (void)json_object_put(reply);
}

static void test_abort_before_prepare(void **state)
{
    struct bench *bench = *state;

    bench_start(bench);
    assert_abort_ends(bench);
    assert_string_equal(bench->calls, "");
}

static void test_abort_lets_go(void **state)
{
    struct bench *bench = *state;

    assert_held(bench, LONG_HOLD);
    assert_abort_ends(bench);
    assert_string_equal(bench->calls, "create ready prepare freeze abort destroy ");
}

static void test_cancel_while_the_plugin_waits(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench, "freeze = wait\n");
    assert_prepared(bench);
    ask_freeze(bench, LONG_HOLD);
    bench_wait_for_call(bench, "freeze ");
    assert_abort_ends(bench); /* whose reply is the next one: freeze has none */
    assert_string_equal(bench->calls, "create ready prepare freeze abort destroy ");
}

static void test_cancel_without_a_reason_is_a_failure(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench, "freeze = canceled\n");
    assert_prepared(bench);
    ask_freeze(bench, LONG_HOLD);
    assert_reply(bench, "freeze", "failed",
                 "the plugin 'fixture' failed without a reason: Operation canceled");
    assert_abort_ends(bench);
}

static void test_end_of_file_lets_go(void **state)
{
    struct bench *bench = *state;

    assert_held(bench, LONG_HOLD);
    bench->fd = util_close(bench->fd);
    assert_exits(bench, 0);
    assert_true(plugin_aborted(bench));
    assert_false(application_waits(bench));
}

static void test_end_of_file_while_the_plugin_waits(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench, "prepare = wait\n");
    bench_start(bench);
    ask_prepare(bench);
    bench_wait_for_call(bench, "prepare ");
    bench->fd = util_close(bench->fd);
    assert_exits(bench, 0);
    assert_true(plugin_aborted(bench));
}

static void test_hold_deadline_ends_the_hold(void **state)
{
    struct bench *bench = *state;

    assert_held(bench, SHORT_HOLD);
    assert_lost(bench, "the hold was lost: the hold deadline passed"); /* though the daemon says nothing */
    assert_false(application_waits(bench));
    assert_end(bench);
    assert_exits(bench, 0);
    assert_string_equal(bench->calls, "create ready prepare freeze abort destroy ");
}

static void test_backstop_kills_a_plugin_that_blocks(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench, "check = block\n");
    assert_held(bench, SHORT_HOLD);
    ask(bench, "check");
    bench_wait_for_call(bench, "check ");
    assert_killed(bench);
    assert_false(plugin_aborted(bench));
    assert_false(application_waits(bench));
}

static void test_freeze_after_the_hold_deadline(void **state)
{
    struct bench *bench = *state;

    assert_prepared(bench);
    ask_freeze(bench, 0);
    assert_reply_has(bench, "freeze", "has passed");
    assert_abort_ends(bench);
    assert_string_equal(bench->calls, "create ready prepare abort destroy ");
}

/* The FIFO's writer is the server that goes away. */
static int watched_hold(struct bench *bench, const char *check)
{
    CLEANUP_FREE char *path = files_path(bench->dir, "fifo");
    CLEANUP_FREE char *section = NULL;
    int writer;

    assert_int_equal(mkfifo(path, 0600), 0);
    files_check(asprintf(&section, "watch = %s\n%s", path, check) >= 0, "asprintf");
    bench_configure(bench, section);
    assert_prepared(bench);
    writer = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(writer >= 0);
    ask_freeze(bench, LONG_HOLD);
    assert_reply(bench, "freeze", "ok", NULL);
    return writer;
}

static void test_lost_by_watch_fd(void **state)
{
    struct bench *bench = *state;
    int writer = watched_hold(bench, "");

    (void)close(writer);
    assert_lost(bench, "the hold was lost, the plugin does not say why");
    assert_end(bench);
    assert_exits(bench, 0);
    assert_false(application_waits(bench));
    assert_string_equal(bench->calls, "create ready prepare freeze check abort destroy ");
}

static void test_lost_with_the_plugins_reason(void **state)
{
    struct bench *bench = *state;
    int writer = watched_hold(bench, "check = fail\n");

    assert_int_equal(write(writer, "x", 1), 1);
    assert_lost(bench, "cannot check 'it': as?told");
    assert_end(bench);
    assert_exits(bench, 0);
    (void)close(writer);
}

static void test_failures(void **state)
{
    static const struct {
        const char *section;
        const char *phase;
        const char *result;
        const char *error;
    } cases[] = {
        { "prepare = fail\n", "prepare", "failed", "cannot prepare 'it': as?told" },
        { "prepare = not-running\n", "prepare", "not-running", "no socket 'x'" },
        { "prepare = silent\n", "prepare", "failed",
          "the plugin 'fixture' failed without a reason: Input/output error" },
        { "prepare = positive\n", "prepare", "failed",
          "the plugin 'fixture' answered prepare with the unknown value 7" },
        { "ready = fail\n", "prepare", "failed", "cannot ready 'it': as?told" },
        { "freeze = fail\n", "freeze", "failed", "cannot freeze 'it': as?told" },
        { "freeze = positive\n", "freeze", "failed",
          "the plugin 'fixture' answered freeze with the unknown value 7" },
        { "check = fail\n", "check", "failed", "cannot check 'it': as?told" },
        { "check = silent\n", "check", "failed",
          "the plugin 'fixture' failed without a reason: Input/output error" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bench *bench;

        assert_int_equal(bench_setup(state), 0);
        bench = *state;
        bench_configure(bench, cases[i].section);
        if (strcmp(cases[i].phase, "prepare") == 0) {
            bench_start(bench);
            ask_prepare(bench);
        } else if (strcmp(cases[i].phase, "freeze") == 0) {
            assert_prepared(bench);
            ask_freeze(bench, LONG_HOLD);
        } else {
            assert_held(bench, LONG_HOLD);
            ask(bench, cases[i].phase);
        }
        assert_reply(bench, cases[i].phase, cases[i].result, cases[i].error);
        assert_abort_ends(bench);
        assert_true(plugin_aborted(bench));
        assert_int_equal(bench_teardown(state), 0);
    }
}

static void test_thaw_lets_go_even_when_it_fails(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench, "thaw = fail\n");
    assert_held(bench, LONG_HOLD);
    ask(bench, "thaw");
    assert_reply(bench, "thaw", "failed", "cannot thaw 'it': as?told");
    assert_end(bench);
    assert_exits(bench, 0);
    assert_false(application_waits(bench));
    assert_string_equal(bench->calls, "create ready prepare freeze thaw destroy ");
}

static void test_options_reach_the_plugin(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench, "mood = bad\n");
    bench_start(bench);
    ask_prepare(bench);
    assert_reply_has(bench, "prepare", "/apps.d/main.conf' line 6: cannot work in a mood");
    assert_abort_ends(bench);
    assert_string_equal(bench->calls, "create abort destroy ");
}

static void test_plugin_is_not_there(void **state)
{
    struct bench *bench = *state;
    CLEANUP_FREE char *path = files_path(bench->dir, "fixture.so");

    assert_int_equal(unlink(path), 0);
    bench_start(bench);
    ask_prepare(bench);
    assert_reply_has(bench, "prepare", "/fixture.so'");
    assert_abort_ends(bench);
    assert_string_equal(bench->calls, "");
}

static void test_other_protocol(void **state)
{
    struct bench *bench = *state;

    bench_start(bench);
    bench_send(bench, "{\"do\":\"prepare\",\"protocol\":2,\"plugin\":\"fixture\",\"deadline\":1}");
    assert_reply(bench, "prepare", "failed",
                 "the daemon speaks protocol 2, this worker 1: restart quiesced.service");
    assert_abort_ends(bench);
    assert_string_equal(bench->calls, "");
}

static void test_requests_out_of_order(void **state)
{
    struct bench *bench = *state;

    assert_prepared(bench);
    ask(bench, "thaw");
    assert_reply_has(bench, "thaw", "the daemon asked for thaw when the worker has prepared");
    ask_prepare(bench);
    assert_reply_has(bench, "prepare", "when the worker has prepared");
    ask(bench, "freeze");
    assert_reply_has(bench, "freeze", "no deadline for the hold");
    ask_freeze(bench, LONG_HOLD);
    assert_reply_has(bench, "freeze", "when the worker has failed");
    assert_abort_ends(bench);
}

static void test_requests_that_nobody_knows(void **state)
{
    struct bench *bench = *state;

    assert_held(bench, LONG_HOLD);
    ask(bench, "dance");
    assert_reply_has(bench, "dance", "'dance', which the worker does not know");
    bench_send(bench, "{\"do\":\"check\"}");
    assert_reply_has(bench, "check", "without a deadline");
    ask(bench, "check");
    assert_reply(bench, "check", "ok", NULL);
    ask(bench, "thaw");
    assert_reply(bench, "thaw", "ok", NULL);
    assert_exits(bench, 0);
}

static void test_packet_that_is_no_request(void **state)
{
    struct bench *bench = *state;

    assert_held(bench, LONG_HOLD);
    bench_send(bench, "[]");
    assert_exits(bench, 1);
    assert_true(plugin_aborted(bench));
    assert_false(application_waits(bench));
}

/* Logs are dropped when nobody reads them, the reply is not. */
static void test_reply_comes_after_a_flood(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench, "check = flood\n");
    assert_held(bench, LONG_HOLD);
    ask(bench, "check");
    assert_reply(bench, "check", "ok", NULL);
    assert_true(bench->floods > 0);
    assert_abort_ends(bench);
}

static void test_other_parent(void **state)
{
    struct bench *bench = *state;

    bench_start_as(bench, 1);
    assert_exits(bench, 1);
}

static void test_death_of_the_daemon_kills(void **state)
{
    struct bench *bench = *state;
    int pair[2];
    pid_t daemon;

    /* the orphan comes to the test */
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    daemon = fork();
    assert_true(daemon >= 0);
    if (daemon == 0) {
        pid_t parent = getpid();

        if (fork() == 0) {
            bench_exec(bench, pair[1], parent);
        }
        for (;;) {
            (void)pause();
        }
    }
    (void)close(pair[1]);
    bench->fd = pair[0];
    ask_prepare(bench);
    assert_reply(bench, "prepare", "ok", NULL);
    ask_freeze(bench, LONG_HOLD);
    assert_reply(bench, "freeze", "ok", NULL);
    assert_int_equal(kill(daemon, SIGKILL), 0);
    bench->pid = daemon;
    assert_killed(bench);
    bench->pid = -1; /* any child: the worker is the only one */
    assert_killed(bench);
    assert_false(plugin_aborted(bench)); /* nothing was said to it, it just ended */
    assert_false(application_waits(bench));
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_whole_cycle),
        TEST(test_replies_carry_what_was_collected),
        TEST(test_abort_before_prepare),
        TEST(test_abort_lets_go),
        TEST(test_cancel_while_the_plugin_waits),
        TEST(test_cancel_without_a_reason_is_a_failure),
        TEST(test_end_of_file_lets_go),
        TEST(test_end_of_file_while_the_plugin_waits),
        TEST(test_hold_deadline_ends_the_hold),
        TEST(test_backstop_kills_a_plugin_that_blocks),
        TEST(test_freeze_after_the_hold_deadline),
        TEST(test_lost_by_watch_fd),
        TEST(test_lost_with_the_plugins_reason),
        cmocka_unit_test(test_failures),
        TEST(test_thaw_lets_go_even_when_it_fails),
        TEST(test_options_reach_the_plugin),
        TEST(test_plugin_is_not_there),
        TEST(test_other_protocol),
        TEST(test_requests_out_of_order),
        TEST(test_requests_that_nobody_knows),
        TEST(test_packet_that_is_no_request),
        TEST(test_reply_comes_after_a_flood),
        TEST(test_other_parent),
        TEST(test_death_of_the_daemon_kills),
    };

    (void)alarm(120); /* a worker that never ends fails the test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
