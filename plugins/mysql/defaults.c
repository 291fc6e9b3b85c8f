/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "defaults.h"
#include "trusted_file.h"

#define BLANKS " \t\r\f\v"

/* A piece of the text */
struct span {
    const char *begin;
    const char *end;
};

static struct span span_trim(struct span span)
{
    while (span.begin < span.end && strchr(BLANKS, *span.begin) != NULL) {
        span.begin++;
    }
    while (span.end > span.begin && strchr(BLANKS, span.end[-1]) != NULL) {
        span.end--;
    }
    return span;
}

static bool span_is(struct span span, const char *text)
{
    size_t length = strlen(text);

    if ((size_t)(span.end - span.begin) != length) {
        return false;
    }
    /* The servers take both for the same in a key. */
    for (size_t i = 0; i < length; i++) {
        if ((span.begin[i] == '_' ? '-' : span.begin[i]) != text[i]) {
            return false;
        }
    }
    return true;
}

static const char *span_find(struct span span, char c)
{
    return memchr(span.begin, c, (size_t)(span.end - span.begin));
}

/* Up to a # that stands in no quotes: the rest is a comment. */
static struct span span_without_comment(struct span span)
{
    char quote = '\0';
    bool escaped = false;

    for (const char *c = span.begin; c < span.end; c++) {
        if ((*c == '\'' || *c == '"') && !escaped) {
            if (quote == '\0') {
                quote = *c;
            } else if (quote == *c) {
                quote = '\0';
            }
        }
        if (quote == '\0' && *c == '#') {
            span.end = c;
            break;
        }
        escaped = quote != '\0' && *c == '\\' && !escaped;
    }
    return span;
}

static char unescape(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    case 'b':
        return '\b';
    case 's':
        return ' ';
    case '"':
    case '\'':
    case '\\':
        return c;
    default:
        return '\0';
    }
}

/* Without the quotes around it, and with what the backslashes stand for */
static char *value_copy(struct span span)
{
    char *copy;
    char *to;

    if (span.end - span.begin >= 2 && (*span.begin == '\'' || *span.begin == '"') &&
        span.end[-1] == *span.begin) {
        span.begin++;
        span.end--;
    }
    copy = malloc((size_t)(span.end - span.begin) + 1);
    if (copy == NULL) {
        return NULL;
    }
    to = copy;
    while (span.begin < span.end) {
        if (*span.begin == '\\' && span.begin + 1 < span.end && unescape(span.begin[1]) != '\0') {
            *to++ = unescape(span.begin[1]);
            span.begin += 2;
        } else {
            *to++ = *span.begin++;
        }
    }
    *to = '\0';
    return copy;
}

static char **defaults_find(struct defaults *defaults, struct span key)
{
    const struct {
        const char *name;
        char **value;
    } keys[] = {
        { "user", &defaults->user },         { "password", &defaults->password },
        { "socket", &defaults->socket },     { "ssl-ca", &defaults->ssl_ca },
        { "ssl-cert", &defaults->ssl_cert }, { "ssl-key", &defaults->ssl_key },
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (span_is(key, keys[i].name)) {
            return keys[i].value;
        }
    }
    return NULL;
}

/* A key without a value asks the user, or is off: it says nothing here. */
static int parse_key(struct defaults *defaults, struct span line)
{
    const char *equals = span_find(line, '=');
    char **value;
    char *copy;

    if (equals == NULL) {
        return 0;
    }
    value = defaults_find(defaults, span_trim((struct span){ line.begin, equals }));
    if (value == NULL) {
        return 0;
    }
    copy = value_copy(span_trim(span_without_comment((struct span){ equals + 1, line.end })));
    if (copy == NULL) {
        return -ENOMEM;
    }
    (void)trusted_file_wipe(*value);
    *value = copy;
    return 0;
}

static int parse_group(struct span line, struct span *ret_group, const char **ret_why)
{
    const char *close = span_find(line, ']');

    if (close == NULL) {
        *ret_why = "the name of the group does not end";
        return -EINVAL;
    }
    *ret_group = span_trim((struct span){ line.begin + 1, close });
    return 0;
}

/* @group is the one that the lines before have begun. */
static int parse_line(struct defaults *defaults, const char *wanted, struct span line,
                      struct span *group, const char **ret_why)
{
    line = span_trim(line);
    if (line.begin == line.end || *line.begin == '#' || *line.begin == ';') {
        return 0;
    }
    if (*line.begin == '!') {
        *ret_why = "other files are not included, name the file itself";
        return -EINVAL;
    }
    if (*line.begin == '[') {
        return parse_group(line, group, ret_why);
    }
    return span_is(*group, wanted) ? parse_key(defaults, line) : 0;
}

static int parse_for_group(struct defaults *defaults, const char *text, const char *wanted,
                           unsigned int *ret_line, const char **ret_why)
{
    struct span group = { text, text }; /* none */
    unsigned int number = 0;

    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        int r;

        number++;
        r = parse_line(defaults, wanted, (struct span){ text, text + length }, &group, ret_why);
        if (r < 0) {
            *ret_line = number;
            return r;
        }
        text += length + (text[length] == '\n' ? 1 : 0);
    }
    return 0;
}

int defaults_parse(const char *text, struct defaults *ret, unsigned int *ret_line,
                   const char **ret_why)
{
    struct defaults defaults = { .user = NULL };
    int r = parse_for_group(&defaults, text, "client", ret_line, ret_why);

    if (r == 0) {
        r = parse_for_group(&defaults, text, "quiesced", ret_line, ret_why);
    }
    if (r < 0) {
        defaults_clear(&defaults);
        return r;
    }
    *ret = defaults;
    return 0;
}

void defaults_clear(struct defaults *defaults)
{
    char **const values[] = { &defaults->user,   &defaults->password, &defaults->socket,
                              &defaults->ssl_ca, &defaults->ssl_cert, &defaults->ssl_key };

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        *values[i] = trusted_file_wipe(*values[i]);
    }
}
