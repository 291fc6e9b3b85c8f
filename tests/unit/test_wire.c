/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_wire.c: JSON, frames and packets */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>

#include "util.h"
#include "wire.h"

struct pair {
    int ours;
    int theirs;
};

static struct pair pair_new(int type)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
    return (struct pair){ .ours = fds[0], .theirs = fds[1] };
}

static void pair_close(struct pair *pair)
{
    pair->ours = util_close(pair->ours);
    pair->theirs = util_close(pair->theirs);
}

static json_object *parse(const char *text)
{
    json_object *object = NULL;

    assert_int_equal(wire_parse(text, strlen(text), &object), 0);
    return object;
}

static void push(int fd, const void *data, size_t n)
{
    assert_int_equal(send(fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL), (ssize_t)n);
}

/* Objects */

static void test_only_whole_objects_are_parsed(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "1",
        "null",
        "\"a\"",
        "[]",
        "{",
        "{}}",
        "{} {}",
        "{}x",
        "{}\f",
        "{\"a\"}",
        "{a:1}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":NaN}",
        "{\"a\":tru}",
        "{\"a\":[1,]}",
        "{\"a\":Infinity}",
        "{\"a\":[{\"b\":-Infinity}]}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc0\x80\"}",
        "{\"a\":\"b}",
        "// {}",
        "\xef\xbb\xbf{}",
    };
    static const char *const good[] = {
        "{}", " {} \r\n\t", "{\"a\":null}", "{\"a\":[1,{\"b\":1.5}]}", "{\"a\":\"\xc3\xa4\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        json_object *object = (json_object *)state;

        if (wire_parse(bad[i], strlen(bad[i]), &object) != -EBADMSG) {
            fail_msg("'%s' was parsed", bad[i]);
        }
        assert_ptr_equal(object, state);
    }
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        json_object_put(parse(good[i]));
    }
}

static void test_size_is_obeyed(void **state)
{
    json_object *object = NULL;

    (void)state;
    assert_int_equal(wire_parse("{}x", 2, &object), 0);
    json_object_put(object);
    assert_int_equal(wire_parse("{}x", 1, &object), -EBADMSG);
    assert_int_equal(wire_parse("{}\0", 3, &object), -EBADMSG);
}

static void test_depth_is_bounded(void **state)
{
    char text[128] = "{\"a\":";
    json_object *object = NULL;
    size_t deep = WIRE_DEPTH_MAX - 2;

    (void)state;
    memset(text + 5, '[', deep);
    memset(text + 5 + deep, ']', deep);
    text[5 + 2 * deep] = '}';
    json_object_put(parse(text));
    memset(text + 5, '[', WIRE_DEPTH_MAX);
    memset(text + 5 + WIRE_DEPTH_MAX, ']', WIRE_DEPTH_MAX);
    text[5 + 2 * WIRE_DEPTH_MAX] = '}';
    assert_int_equal(wire_parse(text, strlen(text), &object), -EBADMSG);
}

static void test_members_have_their_types(void **state)
{
    json_object *object = parse("{\"s\":\"text\",\"n\":18446744073709551615,\"b\":true,\"a\":[1],"
                                "\"o\":{},\"z\":null,\"m\":-1,\"d\":1.0,\"nul\":\"a\\u0000b\"}");
    const char *text = "before";
    uint64_t number = 4711;
    bool flag = false;
    json_object *member = NULL;

    (void)state;
    assert_int_equal(wire_get_string(object, "none", &text), -ENOENT);
    assert_int_equal(wire_get_string(object, "z", &text), -ENOENT);
    assert_int_equal(wire_get_string(object, "n", &text), -EBADMSG);
    assert_int_equal(wire_get_string(object, "nul", &text), -EBADMSG);
    assert_string_equal(text, "before");
    assert_int_equal(wire_get_string(object, "s", &text), 0);
    assert_string_equal(text, "text");
    assert_int_equal(wire_get_uint(object, "m", &number), -EBADMSG);
    assert_int_equal(wire_get_uint(object, "d", &number), -EBADMSG);
    assert_int_equal(wire_get_uint(object, "s", &number), -EBADMSG);
    assert_int_equal(number, 4711);
    assert_int_equal(wire_get_uint(object, "n", &number), 0);
    assert_true(number == UINT64_MAX);
    assert_int_equal(wire_get_bool(object, "n", &flag), -EBADMSG);
    assert_int_equal(wire_get_bool(object, "b", &flag), 0);
    assert_true(flag);
    assert_int_equal(wire_get_array(object, "o", &member), -EBADMSG);
    assert_int_equal(wire_get_array(object, "a", &member), 0);
    assert_int_equal(wire_get_object(object, "a", &member), -EBADMSG);
    assert_int_equal(wire_get_object(object, "o", &member), 0);
    json_object_put(object);
}

/* Texts */

static void test_clean_text_has_one_line_of_utf8(void **state)
{
    static const struct {
        const char *text;
        const char *clean;
    } table[] = {
        { "", "" },
        { "plain text", "plain text" },
        { "a\nb\tc\x1b[31md\x7f", "a?b?c?[31md?" },
        { "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac "
                                                              "\xf0\x9f\x98\x80" },
        { "c1 \xc2\x9b nbsp \xc2\xa0", "c1 ? nbsp \xc2\xa0" },
        { "latin1 \xfc.", "latin1 ?." },
        { "overlong \xc0\xaf", "overlong ??" },
        { "surrogate \xed\xa0\x80", "surrogate ???" },
        { "too high \xf4\x90\x80\x80", "too high ????" },
        { "cut \xe2\x82", "cut ??" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        CLEANUP_FREE char *clean = wire_clean(table[i].text);

        assert_string_equal(clean, table[i].clean);
    }
}

static void test_clean_text_is_cut_between_characters(void **state)
{
    char text[WIRE_TEXT_MAX + 16];
    CLEANUP_FREE char *whole = NULL;
    CLEANUP_FREE char *shorter = NULL;

    (void)state;
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    whole = wire_clean(text);
    assert_int_equal(strlen(whole), WIRE_TEXT_MAX);
    memcpy(text + WIRE_TEXT_MAX - 1, "\xc3\xbc", 2);
    shorter = wire_clean(text);
    assert_int_equal(strlen(shorter), WIRE_TEXT_MAX - 1);
}

/* Frames */

static void expect_frame(struct wire_buffer *buffer, const char *expected)
{
    CLEANUP_FREE char *frame = NULL;
    size_t size = 0;

    assert_int_equal(wire_buffer_next(buffer, &frame, &size), 1);
    assert_int_equal(size, strlen(expected));
    assert_string_equal(frame, expected);
}

static void expect_no_frame(struct wire_buffer *buffer)
{
    char *frame = NULL;
    size_t size = 4711;

    assert_int_equal(wire_buffer_next(buffer, &frame, &size), 0);
    assert_int_equal(size, 4711);
}

static void test_frames_are_split_at_nul(void **state)
{
    struct pair pair = pair_new(SOCK_STREAM);
    struct wire_buffer buffer = { 0 };

    (void)state;
    assert_int_equal(wire_buffer_fill(&buffer, pair.ours), -EAGAIN);
    expect_no_frame(&buffer);
    push(pair.theirs, "one\0two\0\0th", 11);
    assert_int_equal(wire_buffer_fill(&buffer, pair.ours), 11);
    expect_frame(&buffer, "one");
    expect_frame(&buffer, "two");
    expect_frame(&buffer, "");
    expect_no_frame(&buffer);
    push(pair.theirs, "ree", 4);
    assert_int_equal(wire_buffer_fill(&buffer, pair.ours), 4);
    expect_frame(&buffer, "three");
    expect_no_frame(&buffer);
    pair.theirs = util_close(pair.theirs);
    assert_int_equal(wire_buffer_fill(&buffer, pair.ours), 0);
    wire_buffer_free(&buffer);
    wire_buffer_free(&buffer);
    pair_close(&pair);
}

/* Fills @buffer from @n bytes 'a'; the result of the last fill. */
static ssize_t fill_with(struct wire_buffer *buffer, struct pair *pair, size_t n)
{
    char data[4096];
    ssize_t got = 0;

    memset(data, 'a', sizeof(data));
    while (n > 0 && got >= 0) {
        size_t part = n < sizeof(data) ? n : sizeof(data);

        push(pair->theirs, data, part);
        n -= part;
        for (size_t left = part; left > 0 && got >= 0; left -= got > 0 ? (size_t)got : 0) {
            got = wire_buffer_fill(buffer, pair->ours);
        }
    }
    return got;
}

static void test_longest_frame_is_taken(void **state)
{
    struct pair pair = pair_new(SOCK_STREAM);
    struct wire_buffer buffer = { 0 };
    CLEANUP_FREE char *frame = NULL;
    size_t size = 0;

    (void)state;
    assert_true(fill_with(&buffer, &pair, WIRE_FRAME_MAX - 1) > 0);
    push(pair.theirs, "", 1);
    assert_int_equal(wire_buffer_fill(&buffer, pair.ours), 1);
    assert_int_equal(wire_buffer_fill(&buffer, pair.ours), -ENOBUFS);
    assert_int_equal(wire_buffer_next(&buffer, &frame, &size), 1);
    assert_int_equal(size, WIRE_FRAME_MAX - 1);
    assert_int_equal(wire_buffer_fill(&buffer, pair.ours), -EAGAIN);
    assert_int_equal(buffer.allocated, WIRE_FRAME_MAX);
    wire_buffer_free(&buffer);
    pair_close(&pair);
}

static void test_longer_frame_is_refused(void **state)
{
    struct pair pair = pair_new(SOCK_STREAM);
    struct wire_buffer buffer = { 0 };

    (void)state;
    assert_int_equal(fill_with(&buffer, &pair, WIRE_FRAME_MAX), -EMSGSIZE);
    assert_int_equal(wire_buffer_fill(&buffer, pair.ours), -EMSGSIZE);
    assert_int_equal(buffer.allocated, WIRE_FRAME_MAX);
    wire_buffer_free(&buffer);
    pair_close(&pair);
}

/* Packets */

static void test_packet_arrives_as_it_was_sent(void **state)
{
    struct pair pair = pair_new(SOCK_SEQPACKET);
    json_object *sent = parse("{\"do\":\"prepare\",\"path\":\"/run\"}");
    json_object *received = NULL;

    (void)state;
    assert_int_equal(wire_receive(pair.theirs, &received), -EAGAIN);
    assert_int_equal(wire_send(pair.ours, sent), 0);
    assert_int_equal(wire_receive(pair.theirs, &received), 0);
    assert_true(json_object_equal(sent, received));
    json_object_put(received);
    json_object_put(sent);
    pair_close(&pair);
}

static void test_end_of_packets_is_epipe(void **state)
{
    struct pair pair = pair_new(SOCK_SEQPACKET);
    json_object *object = parse("{}");
    json_object *received = NULL;

    (void)state;
    assert_int_equal(wire_send(pair.ours, object), 0);
    pair.theirs = util_close(pair.theirs);
    assert_int_equal(wire_receive(pair.ours, &received), -EPIPE);
    assert_int_equal(wire_receive(pair.ours, &received), -EPIPE);
    assert_int_equal(wire_send(pair.ours, object), -EPIPE);
    assert_null(received);
    json_object_put(object);
    pair_close(&pair);
}

static void test_full_socket_is_eagain(void **state)
{
    struct pair pair = pair_new(SOCK_SEQPACKET);
    json_object *object = parse("{}");
    int r;

    (void)state;
    do {
        r = wire_send(pair.ours, object);
    } while (r == 0);
    assert_int_equal(r, -EAGAIN);
    json_object_put(object);
    pair_close(&pair);
}

static void test_packets_are_bounded(void **state)
{
    struct pair pair = pair_new(SOCK_SEQPACKET);
    CLEANUP_FREE char *data = calloc(1, WIRE_PACKET_MAX + 1);
    json_object *object = json_object_new_object();
    json_object *received = NULL;

    (void)state;
    memset(data, 'a', WIRE_PACKET_MAX);
    assert_int_equal(json_object_object_add(object, "a", json_object_new_string(data)), 0);
    assert_int_equal(wire_send(pair.ours, object), -EMSGSIZE);
    push(pair.ours, data, WIRE_PACKET_MAX + 1);
    assert_int_equal(wire_receive(pair.theirs, &received), -EMSGSIZE);
    data[WIRE_PACKET_MAX - 8] = '\0'; /* {"a":""} around it */
    assert_int_equal(json_object_object_add(object, "a", json_object_new_string(data)), 0);
    assert_int_equal(wire_send(pair.ours, object), 0);
    assert_int_equal(wire_receive(pair.theirs, &received), 0);
    json_object_put(received);
    json_object_put(object);
    pair_close(&pair);
}

static void test_rubbish_in_a_packet_is_ebadmsg(void **state)
{
    struct pair pair = pair_new(SOCK_SEQPACKET);
    json_object *received = NULL;

    (void)state;
    push(pair.ours, "{}{}", 4);
    assert_int_equal(wire_receive(pair.theirs, &received), -EBADMSG);
    push(pair.ours, "{}", 3);
    assert_int_equal(wire_receive(pair.theirs, &received), -EBADMSG);
    assert_null(received);
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_whole_objects_are_parsed),
        cmocka_unit_test(test_size_is_obeyed),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_members_have_their_types),
        cmocka_unit_test(test_clean_text_has_one_line_of_utf8),
        cmocka_unit_test(test_clean_text_is_cut_between_characters),
        cmocka_unit_test(test_frames_are_split_at_nul),
        cmocka_unit_test(test_longest_frame_is_taken),
        cmocka_unit_test(test_longer_frame_is_refused),
        cmocka_unit_test(test_packet_arrives_as_it_was_sent),
        cmocka_unit_test(test_end_of_packets_is_epipe),
        cmocka_unit_test(test_full_socket_is_eagain),
        cmocka_unit_test(test_packets_are_bounded),
        cmocka_unit_test(test_rubbish_in_a_packet_is_ebadmsg),
    };

    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
