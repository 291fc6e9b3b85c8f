/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_reply.c: what the daemon said, made fit for record, log and agent */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "reply.h"
#include "util.h"

static struct call call;

static int setup(void **state)
{
    (void)state;
    return call_init(&call, "freeze", now_usec());
}

static int teardown(void **state)
{
    (void)state;
    call_free(&call);
    return 0;
}

static json_object *parse(const char *text)
{
    json_object *object = json_tokener_parse(text);

    assert_non_null(object);
    return object;
}

static void assert_member(const char *key, const char *expected)
{
    json_object *value = NULL;

    assert_true(json_object_object_get_ex(call.record.object, key, &value));
    assert_string_equal(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN), expected);
}

static void assert_printed(const char *expected)
{
    assert_int_equal(call.n_print, strlen(expected));
    assert_memory_equal(call.print, expected, strlen(expected));
}

static void test_only_known_members_reach_the_record(void **state)
{
    json_object *reply =
        parse("{\"apps\":[1,{},{\"name\":\"../x\"},"
              "{\"name\":\"main\",\"outcome\":\"held\",\"error\":7,\"evil\":\"x\",\"hold_usec\":-1,"
              "\"server\":\"a\\nb\",\"coordinates\":{\"a\\nb\":\"c\\td\",\"n\":1},"
              "\"warnings\":[\"w\\r\",2],\"held_since\":3}]}");

    (void)state;
    reply_record_apps(&call, reply);
    assert_member("apps", "[{\"name\":\"main\",\"outcome\":\"held\",\"error\":null,"
                          "\"server\":\"a?b\",\"coordinates\":{\"a?b\":\"c?d\"},"
                          "\"warnings\":[\"w?\"],\"held_since\":3}]");
    json_object_put(reply);
}

static void test_no_apps_leave_the_record_alone(void **state)
{
    json_object *reply = parse("{\"apps\":{}}");

    (void)state;
    reply_record_apps(&call, reply);
    assert_member("apps", "[]");
    json_object_put(reply);
}

static void test_a_refusal_is_one_line_a_problem(void **state)
{
    json_object *reply =
        parse("{\"reason\":\"app 'a': no\\nsocket\",\"apps\":["
              "{\"name\":\"a\",\"outcome\":\"failed\",\"error\":\"no\\nsocket\"},"
              "{\"name\":\"b\",\"outcome\":\"failed\",\"error\":\"denied\"},"
              "{\"name\":\"c\",\"outcome\":\"failed\",\"policy\":\"optional\",\"error\":\"o\"},"
              "{\"name\":\"d\",\"outcome\":\"pending\",\"error\":\"p\"}]}");

    (void)state;
    reply_fail(&call, "io.quiesced.Failed", reply);
    assert_true(call.failed);
    assert_printed("quiesced: app 'a': no?socket\nquiesced: app 'b': denied\n");
    assert_member("reason", "\"app 'a': no?socket; app 'b': denied\"");
    assert_member("warnings", "[\"app 'c': o\"]");
    json_object_put(reply);
}

static void test_a_refusal_says_when_it_is_over(void **state)
{
    json_object *reply = parse("{\"reason\":\"r\",\"retry_in_usec\":2500000}");

    (void)state;
    reply_fail(&call, "io.quiesced.RetryLater", reply);
    assert_printed("quiesced: r (the next freeze is tried in 3 s)\n");
    json_object_put(reply);
}

static void test_a_refusal_without_reason_has_a_name(void **state)
{
    json_object *reply = parse("{}");

    (void)state;
    reply_fail(&call, "io.quiesced.New", reply);
    assert_printed("quiesced: quiesced answered io.quiesced.New\n");
    json_object_put(reply);
}

static const char verdict[] =
    "{\"apps\":["
    "{\"name\":\"a\",\"outcome\":\"held\"},{\"name\":\"b\",\"outcome\":\"skipped\"},"
    "{\"name\":\"c\",\"outcome\":\"lost\",\"policy\":\"optional\",\"error\":\"o\"},"
    "{\"name\":\"d\",\"outcome\":\"lost\",\"policy\":\"required\",\"error\":\"killed\"},"
    "{\"name\":\"e\",\"outcome\":\"unheard-of\"}]}";

static void test_each_required_app_that_was_lost_is_said(void **state)
{
    json_object *reply = parse(verdict);

    (void)state;
    assert_int_equal(reply_say_apps(&call, reply), 2);
    assert_printed("quiesced: app 'd' was not consistent: killed\n"
                   "quiesced: app 'e' was not consistent: the hold was lost\n");
    assert_true(call.failed);
    assert_member("warnings", "[\"optional app 'c' was not consistent: o\"]");
    json_object_put(reply);
}

static void test_lost_hold_warn_turns_the_status_alone(void **state)
{
    json_object *reply = parse(verdict);

    (void)state;
    call.settings.lost_hold = LOST_HOLD_WARN;
    assert_int_equal(reply_say_apps(&call, reply), 2);
    assert_false(call.failed);
    assert_printed("quiesced: app 'd' was not consistent: killed\n"
                   "quiesced: app 'e' was not consistent: the hold was lost\n");
    assert_member("reason", "\"app 'd' was not consistent: killed; "
                            "app 'e' was not consistent: the hold was lost\"");
    json_object_put(reply);
}

static void test_a_warning_that_comes_again_is_said_once(void **state)
{
    json_object *prepared = parse("{\"warnings\":[\"one\"]}");
    json_object *frozen = parse("{\"warnings\":[\"one\",\"two\"]}");

    (void)state;
    reply_warn(&call, prepared);
    reply_warn(&call, frozen);
    assert_member("warnings", "[\"one\",\"two\"]");
    json_object_put(prepared);
    json_object_put(frozen);
}

static void test_each_app_that_the_daemon_does_not_know_is_said(void **state)
{
    struct app list[] = { { .name = "a" }, { .name = "b" }, { .name = "c" } };
    const struct apps configured = { .list = list, .n = 3 };
    json_object *all = parse("{\"apps\":[{\"name\":\"c\"},{\"name\":\"b\"},{\"name\":\"a\"}]}");
    json_object *one = parse("{\"apps\":[{\"name\":\"b\"},{\"name\":\"x\"}]}");

    (void)state;
    call.config_dir = "/etc/q";
    assert_int_equal(reply_check_apps(&call, all, &configured), 0);
    assert_false(call.failed);
    assert_int_equal(reply_check_apps(&call, one, &configured), -ESTALE);
    assert_true(call.failed);
    assert_printed("quiesced: app 'a': quiesced does not know it: its --config-dir is not "
                   "'/etc/q', or the file has just gone\n"
                   "quiesced: app 'c': quiesced does not know it: its --config-dir is not "
                   "'/etc/q', or the file has just gone\n");
    json_object_put(all);
    json_object_put(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_known_members_reach_the_record, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_apps_leave_the_record_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_refusal_is_one_line_a_problem, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_refusal_says_when_it_is_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_refusal_without_reason_has_a_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_required_app_that_was_lost_is_said, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_lost_hold_warn_turns_the_status_alone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_warning_that_comes_again_is_said_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_each_app_that_the_daemon_does_not_know_is_said,
                                        setup, teardown),
    };

    return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
