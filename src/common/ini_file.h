/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ini_file.h: strict reading of a trusted INI file */
#ifndef QUIESCED_INI_FILE_H
#define QUIESCED_INI_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* A file and its lines are not longer than this. inih splits a long line silently, at
 * a length that each distribution chooses: this is the least of them. */
#define INI_FILE_SIZE_MAX (64U * 1024)
#define INI_FILE_LINE_MAX 197U
#define INI_FILE_KEYS_MAX 256U

/*
 * One key; or, with @key and @value NULL, the beginning of a section, so that an
 * unknown one does not pass because it is empty. 0, or -errno with what is wrong with it in *ret_error (to be freed),
 * without file and line: ini_file_read() puts them before it.
 */
typedef int ini_file_fn(void *data, const char *section, const char *key, const char *value,
                        unsigned line, char **ret_error);

/*
 * Reads the trusted file @path (trust.h) and calls @each for every section and key,
 * in order. The same key twice in a section is an error, and so is all that inih
 * would drop without a word, such as a comment after a value.
 * 0 or -errno, with one line in *ret_error (to be freed); -ENOENT when there is no
 * such file. *ret_stat (may be NULL) is the file's.
 */
int ini_file_read(const char *path, ini_file_fn *each, void *data, struct stat *ret_stat,
                  char **ret_error);

/* The member of @known that @word was perhaps meant to be, or NULL. */
const char *ini_file_nearest(const char *word, const char *const *known, size_t n);

/* "250ms", "20s", "2min", no sign, no fraction; "0" needs a unit too. 0 or -EINVAL. */
int ini_file_duration(const char *text, uint64_t *ret_usec);

#endif
