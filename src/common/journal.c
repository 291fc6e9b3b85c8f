/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * journal.c: entries for the systemd journal, sent without ever waiting
 *
 * The ring keeps what came first and drops what comes when it is full: the first
 * entries say how the trouble began. libsystemd's own sender waits for the journal,
 * and so is of no use here.
 */
#include <config.h>

#include <endian.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "journal.h"
#include "message_ids.h"
#include "util.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

#define RING_ENTRIES_MAX 512U
#define RING_BYTES_MAX (256U * 1024)
/* far below what a datagram can take */
#define ENTRY_MAX (64U * 1024)
/* keys and lengths of the fields that each entry has, and the values of two of them */
#define OVERHEAD_MAX 256U
#define MESSAGE_MAX (32U * 1024)
#define VALUE_MAX (4U * 1024)

struct entry {
    struct entry *next;
    size_t size;
    size_t message; /* where it is in the data, for stderr */
    size_t message_size;
    char data[]; /* the datagram */
};

struct journal {
    const char *identifier;
    enum journal_fallback fallback;
    struct sockaddr_un address;
    int fd; /* unconnected, so that a new journal at the same place does */
    bool held;
    struct entry *first;
    struct entry **last;
    size_t n;
    size_t bytes;
    uint64_t dropped;
};

enum outcome {
    TAKEN,
    NOT_NOW,
    NOT_HERE,
    NEVER,
};

int journal_open_at(const char *identifier, enum journal_fallback fallback, const char *socket_path,
                    struct journal **ret_journal)
{
    struct journal *journal = calloc(1, sizeof(*journal));

    if (journal == NULL) {
        return -ENOMEM;
    }
    journal->identifier = identifier;
    journal->fallback = fallback;
    journal->last = &journal->first;
    journal->address.sun_family = AF_UNIX;
    (void)snprintf(journal->address.sun_path, sizeof(journal->address.sun_path), "%s", socket_path);
    /* without a socket there is the fallback */
    journal->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *ret_journal = journal;
    return 0;
}

int journal_open(const char *identifier, enum journal_fallback fallback,
                 struct journal **ret_journal)
{
    return journal_open_at(identifier, fallback, JOURNAL_SOCKET, ret_journal);
}

static void drop_first(struct journal *journal)
{
    struct entry *entry = journal->first;

    journal->first = entry->next;
    if (journal->first == NULL) {
        journal->last = &journal->first;
    }
    journal->n--;
    journal->bytes -= entry->size;
    free(entry);
}

struct journal *journal_close(struct journal *journal)
{
    if (journal == NULL) {
        return NULL;
    }
    (void)journal_flush(journal);
    while (journal->first != NULL) {
        drop_first(journal);
    }
    journal->fd = util_close(journal->fd);
    free(journal);
    return NULL;
}

/* @n bytes of @text at most, and no broken character at the end. */
static size_t cut(const char *text, size_t n)
{
    size_t length = strnlen(text, n + 1);

    if (length <= n) {
        return length;
    }
    while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80) {
        n--;
    }
    return n;
}

/* What a field takes in its longer form. */
static size_t field_size(const char *key, size_t size)
{
    return strlen(key) + 1 + sizeof(uint64_t) + size + 1;
}

static size_t put(char *data, size_t at, const void *bytes, size_t n)
{
    memcpy(data + at, bytes, n);
    return at + n;
}

/* KEY=value, or for a text of several lines KEY, its length in 64 bits, and it. Returns
 * where the value is; *@at moves behind it. */
static size_t put_field(char *data, size_t *at, const char *key, const char *value, size_t size)
{
    uint64_t length = htole64(size);
    size_t start;

    *at = put(data, *at, key, strlen(key));
    if (memchr(value, '\n', size) == NULL) {
        *at = put(data, *at, "=", 1);
    } else {
        *at = put(data, *at, "\n", 1);
        *at = put(data, *at, &length, sizeof(length));
    }
    start = *at;
    *at = put(data, *at, value, size);
    *at = put(data, *at, "\n", 1);
    return start;
}

/* What the fields take at most, beyond those that an entry has in any case. */
static size_t fields_size(const struct journal_field *fields)
{
    size_t size = 0;

    for (; fields != NULL && fields->key != NULL; fields++) {
        if (fields->value != NULL) {
            size += field_size(fields->key, cut(fields->value, VALUE_MAX));
        }
    }
    return size;
}

/* NULL without memory. Fields that do not fit are left out. */
static struct entry *entry_new(const struct journal *journal, int priority,
                               const struct journal_field *fields, const char *message)
{
    size_t n_message = cut(message, MESSAGE_MAX);
    size_t n_identifier = cut(journal->identifier, VALUE_MAX);
    size_t most = n_message + n_identifier + OVERHEAD_MAX + fields_size(fields);
    struct entry *entry = malloc(sizeof(*entry) + (most < ENTRY_MAX ? most : ENTRY_MAX));
    char time[32];
    char level[16];
    size_t at = 0;

    if (entry == NULL) {
        return NULL;
    }
    (void)snprintf(level, sizeof(level), "%d", priority);
    (void)snprintf(time, sizeof(time), "%llu", (unsigned long long)wall_usec());
    entry->next = NULL;
    entry->message_size = n_message;
    entry->message = put_field(entry->data, &at, "MESSAGE", message, entry->message_size);
    (void)put_field(entry->data, &at, "PRIORITY", level, strlen(level));
    (void)put_field(entry->data, &at, "SYSLOG_IDENTIFIER", journal->identifier, n_identifier);
    (void)put_field(entry->data, &at, "QUIESCED_TIME_USEC", time, strlen(time));
    for (; fields != NULL && fields->key != NULL; fields++) {
        size_t size = fields->value == NULL ? 0 : cut(fields->value, VALUE_MAX);

        if (fields->value != NULL && field_size(fields->key, size) <= ENTRY_MAX - at) {
            (void)put_field(entry->data, &at, fields->key, fields->value, size);
        }
    }
    entry->size = at;
    return entry;
}

static enum outcome send_to_journal(const struct journal *journal, const struct entry *entry)
{
    ssize_t n;

    if (journal->fd < 0) {
        return NOT_HERE;
    }
    do {
        n = sendto(journal->fd, entry->data, entry->size, MSG_DONTWAIT | MSG_NOSIGNAL,
                   (const struct sockaddr *)&journal->address, sizeof(journal->address));
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        return TAKEN;
    }
    switch (errno) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
        return NOT_NOW;
    case EMSGSIZE:
        return NEVER;
    default:
        return NOT_HERE;
    }
}

/* "identifier: message", one line that a pipe takes in one piece. Its size. */
static size_t format_line(const struct journal *journal, const struct entry *entry,
                          char line[static PIPE_BUF])
{
    const char *message = entry->data + entry->message;
    int start = snprintf(line, PIPE_BUF, "%.255s: ", journal->identifier);
    size_t at = start < 0 ? 0 : (size_t)start;
    size_t n = entry->message_size;

    if (n > PIPE_BUF - 1 - at) {
        n = cut(message, PIPE_BUF - 1 - at);
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)message[i];

        line[at++] = c < 0x20 || c == 0x7f ? '?' : message[i];
    }
    line[at++] = '\n';
    return at;
}

/* A full pipe or a stopped terminal is not waited for, and a closed pipe is not
 * written to, which would be a SIGPIPE. */
static enum outcome write_to_stderr(const struct journal *journal, const struct entry *entry)
{
    struct pollfd ready = { .fd = STDERR_FILENO, .events = POLLOUT };
    char line[PIPE_BUF];
    size_t size;
    ssize_t n;

    if (journal->held) {
        return NOT_NOW;
    }
    size = format_line(journal, entry, line);
    n = send(STDERR_FILENO, line, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == ENOTSOCK) {
        if (poll(&ready, 1, 0) == 0) {
            return NOT_NOW;
        }
        if ((ready.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
            return NEVER;
        }
        n = write(STDERR_FILENO, line, size);
    }
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? NOT_NOW : NEVER;
    }
    return TAKEN;
}

static enum outcome deliver(const struct journal *journal, const struct entry *entry)
{
    enum outcome outcome = send_to_journal(journal, entry);

    if (outcome != NOT_HERE || journal->fallback == JOURNAL_OR_NOTHING) {
        return outcome;
    }
    return write_to_stderr(journal, entry);
}

/* True when nothing was dropped, or an entry that says so is away. */
static bool tell_dropped(struct journal *journal)
{
    static const struct journal_field fields[] = {
        { "MESSAGE_ID", MESSAGE_ID_ENTRIES_DROPPED },
        { NULL, NULL },
    };
    struct entry *entry;
    char text[64];
    enum outcome outcome;

    if (journal->dropped == 0) {
        return true;
    }
    (void)snprintf(text, sizeof(text), "%llu log entries were dropped",
                   (unsigned long long)journal->dropped);
    entry = entry_new(journal, LOG_WARNING, fields, text);
    if (entry == NULL) {
        return false;
    }
    outcome = deliver(journal, entry);
    free(entry);
    if (outcome == NOT_NOW) {
        return false;
    }
    journal->dropped = 0;
    return true;
}

bool journal_flush(struct journal *journal)
{
    if (journal == NULL) {
        return true;
    }
    while (journal->first != NULL) {
        switch (deliver(journal, journal->first)) {
        case NOT_NOW:
            return false;
        case NEVER:
            journal->dropped++;
            break;
        case TAKEN:
        case NOT_HERE: /* and so it was asked for */
            break;
        }
        drop_first(journal);
    }
    return tell_dropped(journal);
}

static void append(struct journal *journal, struct entry *entry)
{
    if (entry == NULL || journal->n >= RING_ENTRIES_MAX ||
        entry->size > RING_BYTES_MAX - journal->bytes) {
        free(entry);
        journal->dropped++;
        return;
    }
    *journal->last = entry;
    journal->last = &entry->next;
    journal->n++;
    journal->bytes += entry->size;
}

void journal_log(struct journal *journal, int priority, const struct journal_field *fields,
                 const char *format, ...)
{
    int saved = errno;
    va_list arguments;
    char *message = NULL;

    if (journal == NULL) {
        return;
    }
    va_start(arguments, format);
    if (vasprintf(&message, format, arguments) < 0) {
        message = NULL;
    }
    va_end(arguments);
    /* what is older goes first, and may leave room */
    (void)journal_flush(journal);
    append(journal, message == NULL ? NULL : entry_new(journal, priority, fields, message));
    (void)journal_flush(journal);
    free(message);
    errno = saved;
}

bool journal_pending(const struct journal *journal)
{
    return journal != NULL && (journal->n > 0 || journal->dropped > 0);
}

void journal_hold(struct journal *journal, bool on)
{
    if (journal == NULL) {
        return;
    }
    journal->held = on;
    if (!on) {
        (void)journal_flush(journal);
    }
}
