/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * failing_malloc.c: preloaded, it lets an allocation of one program fail
 *
 *     FAULT_MALLOC_PROGRAM   the file name of the program that is meant
 *     FAULT_MALLOC_FAIL      which allocation fails, from 1
 *     FAULT_MALLOC_MANY      how many fail from there on, 1 when it is not set
 *     FAULT_MALLOC_NOTE      a file that gets a line for each that failed: who asked for
 *                            it, as "library+0x12ab" from the inside out
 *
 * Only what malloc() and its kin hand out is meant, not the loader's own memory.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *pointer, size_t size);

static long counted;
static long first = -1; /* 0: none fails; -1: not looked yet */
static long many = 1;
static const char *note_path;
static bool looking_back;

static void look(void)
{
    const char *program = getenv("FAULT_MALLOC_PROGRAM");
    const char *fail = getenv("FAULT_MALLOC_FAIL");
    const char *more = getenv("FAULT_MALLOC_MANY");

    first = 0;
    if (program != NULL && fail != NULL && strcmp(program, program_invocation_short_name) == 0) {
        note_path = getenv("FAULT_MALLOC_NOTE");
        many = more != NULL ? atol(more) : 1;
        first = atol(fail);
    }
}

static void take_note(void)
{
    int fd = note_path == NULL ? -1 : open(note_path, O_WRONLY | O_APPEND | O_CLOEXEC);
    void *callers[24];
    char line[4096] = "";
    size_t size = 0;

    if (fd < 0) {
        return;
    }
    looking_back = true; /* the first time it allocates */
    for (int i = 0, n = backtrace(callers, 24); i < n; i++) {
        Dl_info info;

        if (dladdr(callers[i], &info) != 0 && info.dli_fname != NULL && size < 3800) {
            size += (size_t)snprintf(line + size, 256, "%.200s+%#lx ", info.dli_fname,
                                     (long)((char *)callers[i] - (char *)info.dli_fbase));
        }
    }
    looking_back = false;
    line[size++] = '\n';
    (void)!write(fd, line, size);
    (void)close(fd);
}

static bool fails(void)
{
    if (looking_back) {
        return false;
    }
    if (first < 0) {
        if (environ == NULL || program_invocation_short_name == NULL ||
            program_invocation_short_name[0] == '\0') {
            return false;
        }
        look();
    }
    if (first == 0) {
        return false;
    }
    counted++;
    if (counted < first || counted >= first + many) {
        return false;
    }
    take_note();
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *pointer, size_t size)
{
    return fails() ? NULL : __libc_realloc(pointer, size);
}

void *reallocarray(void *pointer, size_t n, size_t size)
{
    if (size != 0 && n > SIZE_MAX / size) {
        errno = ENOMEM;
        return NULL;
    }
    return fails() ? NULL : __libc_realloc(pointer, n * size);
}
