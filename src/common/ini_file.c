/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ini_file.c: strict reading of a trusted INI file
 *
 * inih is forgiving, and how much depends on how it was built. So each line is
 * looked at before inih gets it, and what would be dropped or read in more than
 * one way is refused:
 *  - a ';' after a blank begins a comment and cuts the value ("a ;b" is "a"); one
 *    with no blank before it does not, and '#' never does
 *  - a line that begins with a blank continues the value before it: its blanks are
 *    taken away here, so that it is a line like any other
 *  - a line longer than the buffer is split, or its rest is dropped
 *  - what follows the ']' of a section is dropped, and its name is cut
 *  - a NUL byte ends the line
 * Blanks around a value are dropped, and quotes are part of it. ':' is the same as
 * '=', whichever comes first. The line's number is counted here, because inih
 * hands it over only if it was built so.
 */
#include <config.h>

#include <ini.h>
#include <stdbool.h>

#include "ini_file.h"
#include "trust.h"
#include "util.h"

#define SECTION_MAX 49U /* what inih keeps of a section's name */
#define BLANKS " \t\r\v\f"

struct reading {
    char *text;
    size_t size;
    size_t offset;
    unsigned line;
    ini_file_fn *each;
    void *data;
    char *seen[INI_FILE_KEYS_MAX]; /* "section]key" */
    size_t n_seen;
    int result; /* the first error, */
    unsigned error_line;
    char *error; /* and what it is, without file and line */
};

static void reading_free(struct reading *reading)
{
    for (size_t i = 0; i < reading->n_seen; i++) {
        free(reading->seen[i]);
    }
    free(reading->error);
    if (reading->text != NULL) {
        explicit_bzero(reading->text, reading->size); /* it may hold a password */
    }
    free(reading->text);
    free(reading);
}

static int reading_load(struct reading *reading, int fd, const char *path, char **ret_error)
{
    ssize_t n;
    int r;

    reading->text = malloc(INI_FILE_SIZE_MAX + 1);
    if (reading->text == NULL) {
        return -ENOMEM;
    }
    for (;;) {
        n = read(fd, reading->text + reading->size, INI_FILE_SIZE_MAX + 1 - reading->size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            r = -errno;
            return util_fail(ret_error, r, "cannot read '%s': %s", path, strerror(-r));
        }
        if (n == 0) {
            break;
        }
        reading->size += (size_t)n;
        if (reading->size > INI_FILE_SIZE_MAX) {
            return util_fail(ret_error, -EFBIG, "'%s' is longer than %u bytes", path,
                             INI_FILE_SIZE_MAX);
        }
    }
    /* A byte order mark is not part of the first line. */
    if (reading->size >= 3 && memcmp(reading->text, "\xef\xbb\xbf", 3) == 0) {
        reading->offset = 3;
    }
    return 0;
}

/* Notes the first error, and returns it. @what (may be NULL) is taken over. */
static int reading_fail(struct reading *reading, int r, char *what)
{
    if (reading->result < 0) {
        free(what);
        return reading->result;
    }
    reading->result = r;
    reading->error_line = reading->line;
    reading->error = what;
    return r;
}

static int reading_refuse(struct reading *reading, const char *what)
{
    return reading_fail(reading, -EINVAL, strdup(what));
}

static int check_section_line(struct reading *reading, const char *line, size_t n)
{
    if (memchr(line, ']', n) != line + n - 1) {
        return reading_refuse(reading, "not a section: it must be '[name]' and nothing else");
    }
    if (n - 2 > SECTION_MAX) {
        return reading_refuse(reading, "the section's name is too long");
    }
    return 0;
}

static int check_line(struct reading *reading, const char *line, size_t n)
{
    bool blank = false;

    if (n > INI_FILE_LINE_MAX) {
        char *what = NULL;

        (void)util_fail(&what, 0, "the line is longer than %u bytes", INI_FILE_LINE_MAX);
        return reading_fail(reading, -EINVAL, what);
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)line[i];

        if (c == ';' && blank) {
            return reading_refuse(reading, "a ';' after a blank is not possible in a value, and a "
                                           "comment must stand on its own line");
        }
        blank = strchr(BLANKS, c) != NULL && c != '\0';
        if (c == 0x7f || (c < 0x20 && !blank)) {
            return reading_refuse(reading, "there is a control character in the line");
        }
    }
    return line[0] == '[' ? check_section_line(reading, line, n) : 0;
}

/* The next line without the blanks around it; NULL at the end. */
static const char *reading_next(struct reading *reading, size_t *ret_n)
{
    const char *line = reading->text + reading->offset;
    size_t left = reading->size - reading->offset;
    const char *newline;
    size_t n;

    if (left == 0) {
        return NULL;
    }
    newline = memchr(line, '\n', left);
    n = newline == NULL ? left : (size_t)(newline - line);
    reading->offset += newline == NULL ? left : n + 1;
    reading->line++;
    while (n > 0 && line[0] != '\0' && strchr(BLANKS, line[0]) != NULL) {
        line++;
        n--;
    }
    while (n > 0 && line[n - 1] != '\0' && strchr(BLANKS, line[n - 1]) != NULL) {
        n--;
    }
    *ret_n = n;
    return line;
}

static int reading_section(struct reading *reading, const char *line, size_t n)
{
    char name[SECTION_MAX + 1];
    char *what = NULL;
    int r;

    memcpy(name, line + 1, n - 2);
    name[n - 2] = '\0';
    r = reading->each(reading->data, name, NULL, NULL, reading->line, &what);
    return r < 0 ? reading_fail(reading, r, what) : 0;
}

/* inih keeps the last lines in memory that it frees, and one may be a password. */
static char *feed_end(char *buffer, int size)
{
    explicit_bzero(buffer, (size_t)size);
    return NULL;
}

/* inih's fgets(). It gets whole lines, one a call, or the end. */
static char *feed_line(char *buffer, int size, void *data)
{
    struct reading *reading = data;
    const char *line;
    size_t n = 0;

    line = reading->result < 0 ? NULL : reading_next(reading, &n);
    if (line == NULL) {
        return feed_end(buffer, size);
    }
    if (n > 0 && (line[0] == ';' || line[0] == '#')) {
        n = 0;
    }
    if (n > 0 && check_line(reading, line, n) < 0) {
        return feed_end(buffer, size);
    }
    if (n + 2 > (size_t)size) {
        (void)reading_refuse(reading, "the line is longer than the INI library takes");
        return feed_end(buffer, size);
    }
    if (n > 0 && line[0] == '[' && reading_section(reading, line, n) < 0) {
        return feed_end(buffer, size);
    }
    memcpy(buffer, line, n);
    buffer[n] = '\n';
    buffer[n + 1] = '\0';
    return buffer;
}

static int reading_first_time(struct reading *reading, const char *section, const char *key)
{
    char *name = NULL;
    char *what = NULL;

    /* no section's name has a ']' */
    if (asprintf(&name, "%s]%s", section, key) < 0) {
        return reading_fail(reading, -ENOMEM, NULL);
    }
    for (size_t i = 0; i < reading->n_seen; i++) {
        if (strcmp(reading->seen[i], name) == 0) {
            free(name);
            (void)util_fail(&what, 0, "'%s' stands twice in [%s]", key, section);
            return reading_fail(reading, -EINVAL, what);
        }
    }
    if (reading->n_seen == ARRAY_SIZE(reading->seen)) {
        free(name);
        return reading_refuse(reading, "there are too many keys in the file");
    }
    reading->seen[reading->n_seen++] = name;
    return 0;
}

/* inih's handler: 1 to go on, 0 for an error */
static int take_key(void *data, const char *section, const char *key, const char *value)
{
    struct reading *reading = data;
    char *what = NULL;
    int r;

    /* After a line that inih has refused nothing else counts. A section without a
     * key comes by here only if inih was built so; feed_line() has handed it on. */
    if (reading->result < 0 || key == NULL) {
        return reading->result < 0 ? 0 : 1;
    }
    if (value == NULL || key[0] == '\0') {
        return reading_refuse(reading, "not a 'key = value'") == 0;
    }
    if (section[0] == '\0') {
        (void)util_fail(&what, 0, "'%s' stands before any section", key);
        return reading_fail(reading, -EINVAL, what) == 0;
    }
    if (reading_first_time(reading, section, key) < 0) {
        return 0;
    }
    r = reading->each(reading->data, section, key, value, reading->line, &what);
    return r < 0 ? reading_fail(reading, r, what) == 0 : 1;
}

static int reading_parse(struct reading *reading)
{
    int bad = ini_parse_stream(feed_line, reading, take_key, reading);

    if (bad < 0) {
        return reading_fail(reading, -ENOMEM, NULL);
    }
    /* a line that inih itself refused, before any that we did */
    if (bad > 0 && (reading->result == 0 || (unsigned)bad < reading->error_line)) {
        free(reading->error);
        reading->result = -EINVAL;
        reading->error_line = (unsigned)bad;
        reading->error = strdup("not a 'key = value'");
    }
    return reading->result;
}

int ini_file_read(const char *path, ini_file_fn *each, void *data, struct stat *ret_stat,
                  char **ret_error)
{
    CLEANUP_CLOSE int fd = -1;
    CLEANUP_FREE char *why = NULL;
    struct reading *reading;
    struct stat st;
    int r;

    r = trust_open(path, TRUST_FILE, &fd, &st, &why);
    if (r == -EPERM) {
        return util_fail(ret_error, r, "'%s' is not trusted: %s", path, why == NULL ? "" : why);
    }
    if (r < 0) {
        return util_fail(ret_error, r, "%s", why == NULL ? strerror(-r) : why);
    }
    reading = calloc(1, sizeof(*reading));
    if (reading == NULL) {
        return util_fail(ret_error, -ENOMEM, "cannot read '%s': %s", path, strerror(ENOMEM));
    }
    reading->each = each;
    reading->data = data;
    r = reading_load(reading, fd, path, ret_error);
    if (r == 0) {
        r = reading_parse(reading);
        if (r < 0) {
            (void)util_fail(ret_error, r, "'%s' line %u: %s", path, reading->error_line,
                            reading->error == NULL ? strerror(-r) : reading->error);
        } else if (ret_stat != NULL) {
            *ret_stat = st;
        }
    }
    reading_free(reading);
    return r;
}

static size_t min_of_three(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* Levenshtein's distance; words are as long as a line at most. */
static size_t distance(const char *a, const char *b)
{
    size_t row[INI_FILE_LINE_MAX + 1];
    size_t n = strlen(b);

    if (n > INI_FILE_LINE_MAX) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 1; j <= n; j++) {
            size_t above = row[j];

            row[j] = min_of_three(above + 1, row[j - 1] + 1, diagonal + (a[i] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[n];
}

const char *ini_file_nearest(const char *word, const char *const *known, size_t n)
{
    const char *nearest = NULL;
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, known[i]);

        /* a third of the word may be wrong: "policey" is no "plugin" */
        if (d < least && d * 3 <= strlen(known[i])) {
            nearest = known[i];
            least = d;
        }
    }
    return nearest;
}

int ini_file_duration(const char *text, uint64_t *ret_usec)
{
    static const struct {
        const char *unit;
        uint64_t usec;
    } units[] = {
        { "ms", USEC_PER_MSEC },
        { "s", USEC_PER_SEC },
        { "min", 60 * USEC_PER_SEC },
    };
    unsigned long long number;
    char *end;

    if (text[0] < '0' || text[0] > '9') {
        return -EINVAL;
    }
    errno = 0;
    number = strtoull(text, &end, 10);
    if (errno != 0) {
        return -EINVAL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (strcmp(end, units[i].unit) == 0) {
            if (number > UINT64_MAX / units[i].usec) {
                return -EINVAL;
            }
            *ret_usec = number * units[i].usec;
            return 0;
        }
    }
    return -EINVAL;
}
