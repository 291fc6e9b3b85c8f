/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tries what a domain must not be able to do, as root, so that nothing but the policy is
 * in the way. probe WORK...: the exit status has a bit for each that worked, in order.
 *
 *   connect:PATH   to a socket          create:PATH   a new file
 *   open:PATH      for writing          tcp:PORT      of this machine
 *   exec:PATH...   the rest is another program's
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
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

/* Nobody listens there: to be refused is to have been allowed. */
static int try_tcp(const char *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((in_port_t)atoi(port)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = fd < 0 ? -1 : connect(fd, (const struct sockaddr *)&address, sizeof(address));

    return r < 0 && errno == ECONNREFUSED ? 0 : r;
}

int main(int argc, char *argv[])
{
    int status = 0;

    for (int i = 1; i < argc; i++) {
        const char *what = argv[i];
        int r = -1;

        if (strncmp(what, "connect:", 8) == 0) {
            r = try_connect(what + 8);
        } else if (strncmp(what, "tcp:", 4) == 0) {
            r = try_tcp(what + 4);
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
