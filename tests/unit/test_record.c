/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_record.c: what a cycle leaves on the disk */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "files.h"
#include "record.h"
#include "util.h"

static int setup(void **state)
{
    char *dir = files_new();

    files_mkdir(dir, "state", 0755);
    *state = files_path(dir, "state");
    free(dir);
    return 0;
}

static int teardown(void **state)
{
    char *dir = strndup(*state, strlen(*state) - strlen("/state"));

    files_remove(dir);
    free(dir);
    free(*state);
    return 0;
}

/* The file as an object, or NULL. */
static json_object *load(const char *dir, const char *name)
{
    char *path = files_path(dir, name);
    json_object *object = json_object_from_file(path);

    free(path);
    return object;
}

/* A JSON pointer into @object's file has this plain text; NULL: the file is not there. */
static void assert_file(const char *dir, const char *name, const char *pointer,
                        const char *expected)
{
    json_object *object = load(dir, name);
    json_object *value;

    if (expected == NULL) {
        assert_null(object);
        return;
    }
    assert_non_null(object);
    assert_int_equal(json_pointer_get(object, pointer, &value), 0);
    assert_string_equal(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN |
                                                                  JSON_C_TO_STRING_NOSLASHESCAPE),
                        expected);
    json_object_put(object);
}

static void start(struct record *record, const char *cycle)
{
    assert_int_equal(record_init(record), 0);
    record_set_cycle(record, cycle);
}

static void set_apps(struct record *record, const char *text)
{
    record_set_apps(record, json_tokener_parse(text));
}

/* A freeze that holds @cycle. */
static void write_held(const char *dir, const char *cycle)
{
    struct record record;

    start(&record, cycle);
    record_set_state(&record, RECORD_HELD, RECORD_NO_VERDICT);
    record_set_held_since(&record, 17);
    set_apps(&record, "[{\"name\":\"main\",\"outcome\":\"held\",\"server\":\"S 1\","
                      "\"coordinates\":{\"gtid\":\"0-1-7\"},\"warnings\":[\"w\"]}]");
    record_set_script(&record, "/s/a", "freeze", "ok", 5, NULL);
    record_add_warning(&record, "slow");
    assert_int_equal(record_write(&record, dir, RECORD_NEW), 0);
    record_free(&record);
}

static void test_a_freeze_writes_all_members(void **state)
{
    static const char *const keys[] = { "version",  "state",      "consistent", "cycle",
                                        "boot_id",  "machine_id", "started",    "held_since",
                                        "finished", "reason",     "apps",       "scripts",
                                        "warnings" };
    json_object *object;

    write_held(*state, "c1");
    object = load(*state, "record.json");
    assert_non_null(object);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        assert_true(json_object_object_get_ex(object, keys[i], NULL));
    }
    assert_int_equal(json_object_object_length(object), ARRAY_SIZE(keys));
    json_object_put(object);
    assert_file(*state, "record.json", "/version", "1");
    assert_file(*state, "record.json", "/state", "\"held\"");
    assert_file(*state, "record.json", "/consistent", "null");
    assert_file(*state, "record.json", "/finished", "null");
    assert_file(*state, "record.json", "/held_since", "17");
    assert_file(*state, "record.json", "/scripts",
                "[{\"path\":\"/s/a\",\"freeze\":{\"result\":\"ok\",\"usec\":5,\"error\":null}}]");
    assert_file(*state, "previous.json", "", NULL);
}

static void test_what_is_no_utf8_is_cleaned(void **state)
{
    struct record record;

    start(&record, "c1");
    record_set_state(&record, RECORD_HELD, RECORD_NO_VERDICT);
    record_set_script(&record, "/s/\351", "freeze", "failed", 5, "said \033[1m\377");
    assert_int_equal(record_write(&record, *state, RECORD_NEW), 0);
    record_free(&record);
    assert_file(*state, "record.json", "/scripts",
                "[{\"path\":\"/s/?\",\"freeze\":{\"result\":\"failed\",\"usec\":5,"
                "\"error\":\"said ?[1m?\"}}]");
    start(&record, "c1");
    record_set_script(&record, "/s/\351", "thaw", "ok", 6, NULL);
    record_set_state(&record, RECORD_THAWED, RECORD_CONSISTENT);
    assert_int_equal(record_write(&record, *state, RECORD_JOIN), 0);
    record_free(&record);
    assert_file(*state, "record.json", "/scripts/0/thaw/result", "\"ok\"");
    assert_file(*state, "record.json", "/scripts/0/freeze/result", "\"failed\"");
}

static void test_the_one_before_becomes_previous(void **state)
{
    write_held(*state, "c1");
    write_held(*state, "c2");
    write_held(*state, "c3");
    assert_file(*state, "record.json", "/cycle", "\"c3\"");
    assert_file(*state, "previous.json", "/cycle", "\"c2\"");
}

static void test_the_same_call_replaces_its_own(void **state)
{
    struct record record;

    write_held(*state, "c1");
    write_held(*state, "c2");
    start(&record, "c2");
    record_add_reason(&record, "one");
    record_add_reason(&record, "two");
    record_set_state(&record, RECORD_FAILED, RECORD_NO_VERDICT);
    assert_int_equal(record_write(&record, *state, RECORD_AGAIN), 0);
    record_free(&record);
    assert_file(*state, "record.json", "/state", "\"failed\"");
    assert_file(*state, "record.json", "/reason", "\"one; two\"");
    assert_file(*state, "previous.json", "/cycle", "\"c1\"");
}

static void write_thaw(const char *dir, const char *cycle, enum record_verdict verdict)
{
    struct record record;

    start(&record, cycle);
    record_set_state(&record, RECORD_THAWED, verdict);
    if (verdict == RECORD_INCONSISTENT) {
        record_add_reason(&record, "why");
        set_apps(&record, "[{\"name\":\"main\",\"outcome\":\"lost\",\"error\":\"why\","
                          "\"coordinates\":{},\"warnings\":[],\"server\":null}]");
    }
    record_set_script(&record, "/s/a", "thaw", "failed", 6, "exit status 1");
    record_set_script(&record, "/s/b", "thaw", "ok", 7, NULL);
    record_add_warning(&record, "more");
    assert_int_equal(record_write(&record, dir, RECORD_JOIN), 0);
    record_free(&record);
}

static void test_a_thaw_joins_the_held_one(void **state)
{
    write_held(*state, "c1");
    write_thaw(*state, "c1", RECORD_INCONSISTENT);
    assert_file(*state, "record.json", "/state", "\"thawed\"");
    assert_file(*state, "record.json", "/consistent", "false");
    assert_file(*state, "record.json", "/reason", "\"why\"");
    assert_file(*state, "record.json", "/held_since", "17");
    assert_file(*state, "record.json", "/apps",
                "[{\"name\":\"main\",\"outcome\":\"lost\",\"server\":\"S 1\","
                "\"coordinates\":{\"gtid\":\"0-1-7\"},\"warnings\":[\"w\"],\"error\":\"why\"}]");
    assert_file(*state, "record.json", "/scripts",
                "[{\"path\":\"/s/a\",\"freeze\":{\"result\":\"ok\",\"usec\":5,\"error\":null},"
                "\"thaw\":{\"result\":\"failed\",\"usec\":6,\"error\":\"exit status 1\"}},"
                "{\"path\":\"/s/b\",\"thaw\":{\"result\":\"ok\",\"usec\":7,\"error\":null}}]");
    assert_file(*state, "record.json", "/warnings", "[\"slow\",\"more\"]");
    assert_file(*state, "previous.json", "", NULL);
}

static void test_a_thaw_of_another_cycle_is_a_record_of_its_own(void **state)
{
    write_held(*state, "c1");
    write_thaw(*state, "c2", RECORD_CONSISTENT);
    assert_file(*state, "record.json", "/cycle", "\"c2\"");
    assert_file(*state, "record.json", "/consistent", "true");
    assert_file(*state, "previous.json", "/cycle", "\"c1\"");
}

static void test_a_thaw_without_verdict_says_so(void **state)
{
    write_held(*state, "c1");
    write_thaw(*state, NULL, RECORD_NO_VERDICT);
    assert_file(*state, "record.json", "/state", "\"thawed\"");
    assert_file(*state, "record.json", "/consistent", "null");
    assert_file(*state, "record.json", "/cycle", "\"c1\"");
    assert_file(*state, "record.json", "/reason", "\"nothing was held any more at the thaw\"");
}

static void test_a_second_thaw_changes_nothing(void **state)
{
    json_object *before;
    json_object *after;

    write_held(*state, "c1");
    write_thaw(*state, "c1", RECORD_CONSISTENT);
    before = load(*state, "record.json");
    write_thaw(*state, NULL, RECORD_NO_VERDICT);
    after = load(*state, "record.json");
    assert_true(json_object_equal(before, after));
    json_object_put(before);
    json_object_put(after);
}

static void test_a_record_of_another_boot_stays(void **state)
{
    files_write(*state, "record.json",
                "{\"state\":\"held\",\"boot_id\":\"another\",\"cycle\":\"c1\"}\n");
    write_thaw(*state, NULL, RECORD_NO_VERDICT);
    assert_file(*state, "record.json", "/state", "\"held\"");
}

static void test_nonsense_is_replaced_by_a_verdict(void **state)
{
    files_write(*state, "record.json", "{\"state\":");
    write_thaw(*state, "c1", RECORD_CONSISTENT);
    assert_file(*state, "record.json", "/state", "\"thawed\"");
}

static void test_an_empty_one_makes_no_directory(void **state)
{
    char *none = files_path(*state, "none");
    struct record record;

    start(&record, NULL);
    record_set_state(&record, RECORD_HELD, RECORD_NO_VERDICT);
    assert_true(record_is_empty(&record));
    assert_int_equal(record_write(&record, none, RECORD_NEW), 0);
    assert_int_equal(access(none, F_OK), -1);
    record_set_script(&record, "/s/a", "freeze", "ok", 5, NULL);
    assert_int_equal(record_write(&record, none, RECORD_NEW), 0);
    assert_file(none, "record.json", "/state", "\"held\"");
    record_free(&record);
    free(none);
}

/* A directory where the new file has to be: nothing can be written there. */
static void test_one_that_cannot_be_written_leaves_no_older_success(void **state)
{
    struct record record;

    write_held(*state, "c1");
    files_mkdir(*state, ".record.json.tmp", 0755);
    start(&record, "c2");
    assert_true(record_write(&record, *state, RECORD_NEW) < 0);
    record_free(&record);
    assert_file(*state, "record.json", "", NULL);
    assert_file(*state, "previous.json", "/cycle", "\"c1\"");
}

/* A thaw may meet a freeze that is undone. */
static void test_two_writers_take_turns(void **state)
{
    pid_t writers[2];

    for (size_t i = 0; i < 2; i++) {
        writers[i] = fork();
        assert_true(writers[i] >= 0);
        if (writers[i] == 0) {
            struct record record;

            start(&record, i == 0 ? "c1" : "c2");
            for (int n = 0; n < 40; n++) {
                if (record_write(&record, *state, RECORD_NEW) < 0) {
                    _exit(1);
                }
            }
            _exit(0);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        int status = -1;

        assert_int_equal(waitpid(writers[i], &status, 0), writers[i]);
        assert_int_equal(status, 0);
    }
    assert_file(*state, "record.json", "/version", "1");
}

static void test_warnings_are_bounded(void **state)
{
    struct record record;
    json_object *warnings;

    (void)state;
    start(&record, NULL);
    for (size_t i = 0; i < RECORD_WARNINGS_MAX + 5; i++) {
        record_add_warning(&record, "again");
    }
    assert_true(json_object_object_get_ex(record.object, "warnings", &warnings));
    assert_int_equal(json_object_array_length(warnings), RECORD_WARNINGS_MAX);
    record_free(&record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_freeze_writes_all_members, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_utf8_is_cleaned, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_one_before_becomes_previous, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_same_call_replaces_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_thaw_joins_the_held_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_thaw_of_another_cycle_is_a_record_of_its_own, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_thaw_without_verdict_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_second_thaw_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_record_of_another_boot_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nonsense_is_replaced_by_a_verdict, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_empty_one_makes_no_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_writers_take_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_that_cannot_be_written_leaves_no_older_success,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_warnings_are_bounded, setup, teardown),
    };

    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
