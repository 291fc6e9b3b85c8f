/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

static int file_open(const struct quiesced_host *host, const char *path, enum file_kind kind,
                     int *ret_fd)
{
    const size_t end = offsetof(struct quiesced_host, open_trusted) + sizeof(host->open_trusted);

    if (host->size < end || host->open_trusted == NULL) {
        host->error(host, "'%s' cannot be trusted: the worker is older than the plugin", path);
        return -ENOSYS;
    }
    return host->open_trusted(host, path, kind == FILE_SECRET ? QUIESCED_OPEN_SECRET : 0, ret_fd);
}

int file_check(const struct quiesced_host *host, const char *path, enum file_kind kind)
{
    int fd = -1;
    int r = file_open(host, path, kind, &fd);

    if (r == 0) {
        (void)close(fd);
    }
    return r;
}

int file_read(const struct quiesced_host *host, const char *path, enum file_kind kind,
              char *ret_text, size_t size)
{
    const char *why = NULL;
    size_t length = 0;
    ssize_t n = 0;
    int fd = -1;
    int r = file_open(host, path, kind, &fd);

    if (r < 0) {
        return r;
    }
    do {
        n = read(fd, ret_text + length, size - length);
        length += n > 0 ? (size_t)n : 0;
    } while (n > 0 && length < size);
    if (n < 0) {
        r = -errno;
        why = strerror(-r);
    } else if (length == size) {
        r = -EFBIG;
        why = "it is too long";
    } else if (memchr(ret_text, '\0', length) != NULL) {
        r = -EINVAL;
        why = "it has a zero byte";
    } else {
        ret_text[length] = '\0';
    }
    if (why != NULL) {
        host->error(host, "cannot read '%s': %s", path, why);
    }
    (void)close(fd);
    return r;
}
