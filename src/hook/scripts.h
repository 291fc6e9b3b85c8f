/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scripts.h: which scripts there are
 *
 * One list: in the order of the directories, within each by name in C collation.
 * As under the stock hook, what is not a regular executable file, hidden files and
 * what editors and package managers leave behind do not count. An executable (device
 * and inode) counts once.
 */
#ifndef QUIESCED_HOOK_SCRIPTS_H
#define QUIESCED_HOOK_SCRIPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "settings.h"

/* What counts when QUIESCED_HOOKS_PATH says nothing: the first directory is ours,
 * those behind it are the stock hook's. */
#define SCRIPTS_LEGACY_PATH "/etc/qemu/fsfreeze-hook.d:/etc/qemu-ga/fsfreeze-hook.d"
#define SCRIPTS_MAX 256U

enum script_weight {
    SCRIPT_STRICT,  /* its failure fails the freeze */
    SCRIPT_LENIENT, /* its failure is a warning */
};

struct script {
    char *path;
    enum script_weight weight;
    dev_t device;
    ino_t inode;
    char *refused; /* why it is not run (I8), in one line, or NULL */
};

struct scripts {
    struct script *list;
    size_t n;
};

/*
 * The scripts of @directories, separated by colons: the first is strict, @legacy says
 * how the others are. A directory that is not there is no error; one that cannot be
 * read is in the list, refused. 0 or -ENOMEM.
 */
int scripts_find(const char *directories, enum legacy_scripts legacy, struct scripts *ret_scripts);
void scripts_free(struct scripts *scripts);

/*
 * Adds the file @path. 1 when it counts, 0 when it does not (not there, not
 * executable, there already), -ENOMEM.
 */
int scripts_add(struct scripts *scripts, const char *path, enum script_weight weight);

/* As above, but says that it is refused, and does not look at it. 0 or -ENOMEM. */
int scripts_add_refused(struct scripts *scripts, const char *path, enum script_weight weight,
                        const char *why);

/* The member with this path, or NULL. */
const struct script *scripts_lookup(const struct scripts *scripts, const char *path);

/* Does the stock hook pass a file of this name over? */
bool scripts_ignored(const char *name);

#endif
