/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * holder SOCKET DATABASE-SOCKET USER PASSWORD: the least that can hold a lock
 *
 * One program with one session, asked over SOCKET by the program ask. No deadline, no
 * check, no undoing, no proof, no record, no log: what a hold costs without them.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <mysql.h>

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "holder: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static MYSQL *connect_to(char **argv)
{
    MYSQL *mysql = mysql_init(NULL);

    if (mysql == NULL ||
        mysql_real_connect(mysql, NULL, argv[3], argv[4], NULL, 0, argv[2], 0) == NULL) {
        die("cannot connect", mysql != NULL ? mysql_error(mysql) : "no memory");
    }
    return mysql;
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, 1) < 0) {
        die(path, strerror(errno));
    }
    return fd;
}

int main(int argc, char **argv)
{
    MYSQL *mysql;
    int listening;

    if (argc != 5) {
        die("usage", "holder SOCKET DATABASE-SOCKET USER PASSWORD");
    }
    (void)signal(SIGPIPE, SIG_IGN);
    mysql = connect_to(argv);
    listening = listen_at(argv[1]);
    for (;;) {
        int fd = accept(listening, NULL, NULL);
        char verb = 0;
        const char *sql;
        char answer;

        if (fd < 0 || read(fd, &verb, 1) != 1) {
            (void)close(fd);
            continue;
        }
        sql = verb == 'f' ? "FLUSH LOCAL TABLES WITH READ LOCK" : "UNLOCK TABLES";
        answer = mysql_query(mysql, sql) == 0 ? '0' : '1';
        (void)!write(fd, &answer, 1);
        (void)close(fd);
    }
}
