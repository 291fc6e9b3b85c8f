/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * journal.h: entries for the systemd journal, sent without ever waiting
 *
 * Entries are native-protocol datagrams to /run/systemd/journal/socket. What the
 * journal does not take at once stays in a bounded ring and is tried again by
 * journal_flush(); what does not fit is counted, and the count becomes an entry of
 * its own. Without a journal the lines go to stderr, unless journal_hold() says
 * that a file may be frozen: then they wait in the ring.
 */
#ifndef QUIESCED_JOURNAL_H
#define QUIESCED_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <syslog.h>

struct journal;

struct journal_field {
    const char *key;            /* "QUIESCED_APP" */
    const char *value;          /* NULL: the field is left out */
};

enum journal_fallback {
    JOURNAL_OR_STDERR,
    JOURNAL_OR_NOTHING,
};

/* @identifier stays the caller's, and alive. 0 or -ENOMEM. */
int journal_open(const char *identifier, enum journal_fallback fallback,
                 struct journal **ret_journal);
/* The same with another socket than the journal's own: for tests. */
int journal_open_at(const char *identifier, enum journal_fallback fallback, const char *socket,
                    struct journal **ret_journal);
/* Flushes once more, and drops the rest. Returns NULL. */
struct journal *journal_close(struct journal *journal);

/* @priority is one of <syslog.h>; the fields end with a NULL key, or are NULL.
 * The time of the call travels with the entry, in QUIESCED_TIME_USEC. errno is kept.
 * Texts that are longer than an entry may be are cut. NULL as @journal does nothing. */
void journal_log(struct journal *journal, int priority, const struct journal_field *fields,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Tries what is in the ring again. True when nothing is left. */
bool journal_flush(struct journal *journal);
bool journal_pending(const struct journal *journal);

/* While on, nothing is written to stderr. Turning it off flushes. */
void journal_hold(struct journal *journal, bool on);

#endif
