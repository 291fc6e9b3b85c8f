/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wire.c: JSON between our processes */
#include <config.h>

#include <limits.h>
#include <math.h>
#include <sys/socket.h>

#include "util.h"
#include "wire.h"

#define BUFFER_FIRST 4096U

/* The length of the UTF-8 character at @text, which has @left > 0 bytes; 0 when it is
 * none, or overlong. */
static size_t utf8_length(const unsigned char *text, size_t left)
{
    static const struct {
        unsigned char mask;
        unsigned char lead;
        uint32_t least;
    } forms[] = {
        { 0x80, 0x00, 0 },
        { 0xe0, 0xc0, 0x80 },
        { 0xf0, 0xe0, 0x800 },
        { 0xf8, 0xf0, 0x10000 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        uint32_t code;

        if ((text[0] & forms[i].mask) != forms[i].lead) {
            continue;
        }
        code = text[0] & (uint32_t)(unsigned char)~forms[i].mask;
        for (size_t j = 1; j <= i; j++) {
            if (j >= left || (text[j] & 0xc0) != 0x80) {
                return 0;
            }
            code = code << 6 | (text[j] & 0x3fU);
        }
        if (code < forms[i].least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
            return 0;
        }
        return i + 1;
    }
    return 0;
}

static bool is_utf8(const char *text, size_t size)
{
    size_t at = 0;

    while (at < size) {
        size_t n = utf8_length((const unsigned char *)text + at, size - at);

        if (n == 0) {
            return false;
        }
        at += n;
    }
    return true;
}

/* json-c takes NaN and Infinity even when it is strict, and would write them again. */
static bool is_finite(json_object *value)
{
    json_object_iter member;

    switch (json_object_get_type(value)) {
    case json_type_double:
        return isfinite(json_object_get_double(value)) != 0;
    case json_type_array:
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            if (!is_finite(json_object_array_get_idx(value, i))) {
                return false;
            }
        }
        return true;
    case json_type_object:
        json_object_object_foreachC(value, member)
        {
            if (!is_finite(member.val)) {
                return false;
            }
        }
        return true;
    case json_type_null:
    case json_type_boolean:
    case json_type_int:
    case json_type_string:
        return true;
    }
    abort();
}

int wire_parse(const char *text, size_t size, json_object **ret_object)
{
    struct json_tokener *tokener;
    json_object *object;
    size_t end;

    /* json-c would let overlong characters and surrogates pass */
    if (size > WIRE_FRAME_MAX || !is_utf8(text, size)) {
        return -EBADMSG;
    }
    tokener = json_tokener_new_ex(WIRE_DEPTH_MAX);
    if (tokener == NULL) {
        return -ENOMEM;
    }
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    object = json_tokener_parse_ex(tokener, text, (int)size);
    end = json_tokener_get_parse_end(tokener);
    json_tokener_free(tokener);
    while (end < size && strchr(" \t\r\n", text[end]) != NULL && text[end] != '\0') {
        end++;
    }
    if (!json_object_is_type(object, json_type_object) || end != size || !is_finite(object)) {
        json_object_put(object);
        return -EBADMSG;
    }
    *ret_object = object;
    return 0;
}

static int get_member(json_object *object, const char *key, json_type type,
                      json_object **ret_member)
{
    json_object *member;

    if (!json_object_object_get_ex(object, key, &member) || member == NULL) {
        return -ENOENT;
    }
    if (!json_object_is_type(member, type)) {
        return -EBADMSG;
    }
    *ret_member = member;
    return 0;
}

int wire_get_string(json_object *object, const char *key, const char **ret_text)
{
    json_object *member;
    const char *text;
    int r;

    r = get_member(object, key, json_type_string, &member);
    if (r < 0) {
        return r;
    }
    text = json_object_get_string(member);
    if (strlen(text) != (size_t)json_object_get_string_len(member)) {
        return -EBADMSG; /* a NUL in it */
    }
    *ret_text = text;
    return 0;
}

int wire_get_uint(json_object *object, const char *key, uint64_t *ret_number)
{
    json_object *member;
    int r;

    r = get_member(object, key, json_type_int, &member);
    if (r < 0) {
        return r;
    }
    if (json_object_get_int64(member) < 0) {
        return -EBADMSG;
    }
    *ret_number = json_object_get_uint64(member);
    return 0;
}

int wire_get_bool(json_object *object, const char *key, bool *ret_flag)
{
    json_object *member;
    int r;

    r = get_member(object, key, json_type_boolean, &member);
    if (r < 0) {
        return r;
    }
    *ret_flag = json_object_get_boolean(member) != 0;
    return 0;
}

int wire_get_array(json_object *object, const char *key, json_object **ret_array)
{
    return get_member(object, key, json_type_array, ret_array);
}

int wire_get_object(json_object *object, const char *key, json_object **ret_member)
{
    return get_member(object, key, json_type_object, ret_member);
}

/* C0, DEL and C1 */
static bool is_control(const unsigned char *text, size_t n)
{
    return (n == 1 && (text[0] < 0x20 || text[0] == 0x7f)) ||
           (n == 2 && text[0] == 0xc2 && text[1] < 0xa0);
}

char *wire_clean(const char *text)
{
    const unsigned char *in = (const unsigned char *)text;
    char *clean = malloc(WIRE_TEXT_MAX + 1);
    size_t left = strlen(text);
    size_t used = 0;

    if (clean == NULL) {
        return NULL;
    }
    while (left > 0) {
        size_t n = utf8_length(in, left);
        bool bad = n == 0 || is_control(in, n);
        size_t out = bad ? 1 : n;

        if (used + out > WIRE_TEXT_MAX) {
            break;
        }
        if (bad) {
            clean[used] = '?';
        } else {
            memcpy(clean + used, in, n);
        }
        used += out;
        in += n == 0 ? 1 : n;
        left -= n == 0 ? 1 : n;
    }
    clean[used] = '\0';
    return clean;
}

void wire_buffer_free(struct wire_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct wire_buffer){ 0 };
}

/* Makes room behind what is there. 0, or -ENOMEM. */
static int buffer_make_room(struct wire_buffer *buffer)
{
    size_t bigger;
    char *data;

    if (buffer->start > 0) {
        memmove(buffer->data, buffer->data + buffer->start, buffer->n);
        buffer->start = 0;
    }
    if (buffer->n < buffer->allocated) {
        return 0;
    }
    bigger = buffer->allocated == 0 ? BUFFER_FIRST : buffer->allocated * 2;
    data = realloc(buffer->data, bigger);
    if (data == NULL) {
        return -ENOMEM;
    }
    buffer->data = data;
    buffer->allocated = bigger;
    return 0;
}

static bool buffer_has_frame(const struct wire_buffer *buffer)
{
    return buffer->n > 0 && memchr(buffer->data + buffer->start, '\0', buffer->n) != NULL;
}

ssize_t wire_buffer_fill(struct wire_buffer *buffer, int fd)
{
    ssize_t n;
    int r;

    _Static_assert(WIRE_FRAME_MAX % BUFFER_FIRST == 0 &&
                       (WIRE_FRAME_MAX / BUFFER_FIRST & (WIRE_FRAME_MAX / BUFFER_FIRST - 1)) == 0,
                   "doubling ends at WIRE_FRAME_MAX");
    if (buffer->n >= WIRE_FRAME_MAX) {
        return buffer_has_frame(buffer) ? -ENOBUFS : -EMSGSIZE;
    }
    r = buffer_make_room(buffer);
    if (r < 0) {
        return r;
    }
    do {
        n = recv(fd, buffer->data + buffer->n, buffer->allocated - buffer->n, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return -errno;
    }
    buffer->n += (size_t)n;
    if (buffer->n >= WIRE_FRAME_MAX && !buffer_has_frame(buffer)) {
        return -EMSGSIZE;
    }
    return n;
}

int wire_buffer_next(struct wire_buffer *buffer, char **ret_frame, size_t *ret_size)
{
    const char *data;
    const char *end;
    size_t size;
    char *frame;

    if (!buffer_has_frame(buffer)) {
        return 0;
    }
    data = buffer->data + buffer->start;
    end = memchr(data, '\0', buffer->n);
    size = (size_t)(end - data);
    frame = malloc(size + 1);
    if (frame == NULL) {
        return -ENOMEM;
    }
    memcpy(frame, data, size + 1);
    buffer->n -= size + 1;
    buffer->start = buffer->n == 0 ? 0 : buffer->start + size + 1;
    *ret_frame = frame;
    *ret_size = size;
    return 1;
}

int wire_send(int fd, json_object *object)
{
    const char *text;
    size_t size;
    ssize_t n;

    text = json_object_to_json_string_length(
        object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &size);
    if (text == NULL) {
        return -ENOMEM;
    }
    if (size > WIRE_PACKET_MAX) {
        return -EMSGSIZE;
    }
    do {
        n = send(fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

int wire_receive(int fd, json_object **ret_object)
{
    CLEANUP_FREE char *packet = malloc(WIRE_PACKET_MAX);
    ssize_t n;

    if (packet == NULL) {
        return -ENOMEM;
    }
    do {
        n = recv(fd, packet, WIRE_PACKET_MAX, MSG_DONTWAIT | MSG_TRUNC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        /* the peer has gone without reading all that was sent to it */
        return errno == ECONNRESET ? -EPIPE : -errno;
    }
    if (n == 0) {
        return -EPIPE;
    }
    if ((size_t)n > WIRE_PACKET_MAX) {
        return -EMSGSIZE;
    }
    return wire_parse(packet, (size_t)n, ret_object);
}
