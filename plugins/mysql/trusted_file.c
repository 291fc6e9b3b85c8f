/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trusted_file.h"

#define SIZE_MOST 65536u

int trusted_file_open(const struct quiesced_host *host, const char *path, uint32_t flags,
                      int *ret_fd)
{
    const size_t needed = offsetof(struct quiesced_host, open_trusted) + sizeof(host->open_trusted);

    if (host->size < needed || host->open_trusted == NULL) {
        host->error(host, "cannot open '%s': this quiesced-worker is older than the plugin", path);
        return -ENOSYS;
    }
    return host->open_trusted(host, path, flags, ret_fd);
}

/* Up to the end of the file: how many bytes, -EFBIG when there are more than @size. */
static ssize_t read_all(int fd, char *buffer, size_t size)
{
    size_t used = 0;

    for (;;) {
        ssize_t n = read(fd, buffer + used, size - used);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        if (n == 0) {
            return (ssize_t)used;
        }
        used += (size_t)n;
        if (used == size) {
            return -EFBIG;
        }
    }
}

char *trusted_file_wipe(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
    }
    free(text);
    return NULL;
}

int trusted_file_read_secret(const struct quiesced_host *host, const char *key, const char *path,
                             char **ret_text)
{
    char *text;
    ssize_t n;
    int fd;
    int r = trusted_file_open(host, path, QUIESCED_OPEN_SECRET, &fd);

    if (r < 0) {
        return r;
    }
    text = malloc(SIZE_MOST + 1);
    n = text != NULL ? read_all(fd, text, SIZE_MOST) : -ENOMEM;
    (void)close(fd);
    if (n >= 0 && memchr(text, '\0', (size_t)n) != NULL) {
        n = -EILSEQ;
    }
    if (n < 0) {
        host->error(host, "cannot read %s = '%s': %s", key, path,
                    n == -EILSEQ ? "it is no text" : strerror((int)-n));
        if (text != NULL) {
            explicit_bzero(text, SIZE_MOST);
        }
        free(text);
        return (int)n;
    }
    text[n] = '\0';
    *ret_text = text;
    return 0;
}
