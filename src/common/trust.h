/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trust.h: which files may be believed
 *
 * A file is trusted when nobody but root and the user who reads it could have
 * written it: it and each parent directory belong to one of the two and are
 * writable by no group and no other. A sticky directory that others may write to
 * passes if what is named in it belongs to one of the two. Symbolic links are
 * followed, and what they lead through is looked at in the same way. The checks
 * are made on descriptors, not on names.
 */
#ifndef QUIESCED_TRUST_H
#define QUIESCED_TRUST_H

#include <sys/stat.h>

enum trust_kind {
    TRUST_FILE,
    TRUST_DIRECTORY,
};

/*
 * Opens the absolute @path for reading. 0, or -errno: -EPERM when somebody else
 * could have written it, -EINVAL when it is of another kind than @kind or not
 * absolute, -ENOLINK when a symbolic link leads to nothing (so -ENOENT means that
 * nobody meant a file to be there). On an error *ret_why (to be freed; may be NULL) says what is wrong
 * and with which file of the way.
 */
int trust_open(const char *path, enum trust_kind kind, int *ret_fd, struct stat *ret_stat,
               char **ret_why);

/*
 * The same for the file @name of @directory, which trust_open() has opened as
 * @directory_fd: judges nothing above it again.
 */
int trust_open_at(int directory_fd, const char *directory, const char *name, enum trust_kind kind,
                  int *ret_fd, struct stat *ret_stat, char **ret_why);

#endif
