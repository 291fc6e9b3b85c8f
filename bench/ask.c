/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ask freeze|thaw: the hook of holder, whose socket is $HOLDER_SOCKET */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const char *path = getenv("HOLDER_SOCKET");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char answer = '1';

    if (argc != 2 || path == NULL || strlen(path) >= sizeof(address.sun_path)) {
        return 2;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        write(fd, argv[1], 1) != 1 || read(fd, &answer, 1) != 1) {
        perror("ask");
        return EXIT_FAILURE;
    }
    return answer == '0' ? EXIT_SUCCESS : EXIT_FAILURE;
}
