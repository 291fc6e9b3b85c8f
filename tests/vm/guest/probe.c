/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tries what a domain must not be able to do, as root, so that nothing but the policy is
 * in the way. probe WORK...: the exit status has a bit for each that worked, in order.
 *
 *   connect:PATH   to a socket          create:PATH   a new file
 *   open:PATH      for writing          exec:PATH...  the rest is another program's
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int try_connect(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || strlen(path) >= sizeof(address.sun_path)) {
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    return connect(fd, (const struct sockaddr *)&address, sizeof(address));
}

int main(int argc, char *argv[])
{
    int status = 0;

    for (int i = 1; i < argc; i++) {
        const char *what = argv[i];
        int r = -1;

        if (strncmp(what, "connect:", 8) == 0) {
            r = try_connect(what + 8);
        } else if (strncmp(what, "create:", 7) == 0) {
            r = open(what + 7, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        } else if (strncmp(what, "open:", 5) == 0) {
            r = open(what + 5, O_WRONLY | O_CLOEXEC);
        } else if (strncmp(what, "exec:", 5) == 0) {
            argv[i] = (char *)what + 5;
            execv(argv[i], argv + i);
            return 255;
        }
        status |= r >= 0 ? 1 << (i - 1) : 0;
    }
    return status;
}
