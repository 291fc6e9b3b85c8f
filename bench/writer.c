/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * writer SOCKET DIRECTORY PAUSE-USEC TABLE...: clients that write until SIGTERM
 *
 * One process a TABLE, each with a session of its own, inserts row after row. What was
 * acknowledged is kept in memory, and then written to DIRECTORY/0, DIRECTORY/1, ...:
 * pairs of 64 bits, the id of the row and nanoseconds of CLOCK_MONOTONIC.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <mysql.h>

#define ROWS_MAX 1000000u
#define ID_STRIDE 10000000u /* of each writer: the column is an INT */

struct ack {
    uint64_t id;
    uint64_t nsec;
};

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static uint64_t now_nsec(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static MYSQL *connect_to(const char *socket_path)
{
    MYSQL *mysql = mysql_init(NULL);

    if (mysql == NULL ||
        mysql_real_connect(mysql, NULL, "root", "", NULL, 0, socket_path, 0) == NULL) {
        (void)fprintf(stderr, "writer: cannot connect: %s\n",
                      mysql != NULL ? mysql_error(mysql) : "no memory");
        exit(EXIT_FAILURE);
    }
    return mysql;
}

static void save(const char *directory, unsigned number, const struct ack *acks, size_t n)
{
    char path[4096];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%u", directory, number);
    file = fopen(path, "we");
    if (file == NULL || fwrite(acks, sizeof(*acks), n, file) != n || fclose(file) != 0) {
        (void)fprintf(stderr, "writer: cannot write '%s': %s\n", path, strerror(errno));
        exit(EXIT_FAILURE);
    }
}

static void write_rows(const char *socket_path, const char *directory, const char *table,
                       unsigned number, useconds_t pause)
{
    struct ack *acks = calloc(ROWS_MAX, sizeof(*acks));
    MYSQL *mysql = connect_to(socket_path);
    char sql[256];
    size_t n = 0;

    while (!stopped && acks != NULL && n < ROWS_MAX) {
        uint64_t id = (uint64_t)number * ID_STRIDE + n + 1;
        int length =
            snprintf(sql, sizeof(sql),
                     "INSERT INTO %s VALUES (%" PRIu64 ", 'row %zu of a writer that never rests')",
                     table, id, n);

        if (mysql_real_query(mysql, sql, (unsigned long)length) != 0) {
            (void)fprintf(stderr, "writer: %s: %s\n", table, mysql_error(mysql));
            exit(EXIT_FAILURE);
        }
        acks[n++] = (struct ack){ .id = id, .nsec = now_nsec() };
        (void)usleep(pause);
    }
    mysql_close(mysql);
    save(directory, number, acks, n);
    exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
    struct sigaction action = { .sa_handler = stop };
    int result = EXIT_SUCCESS;
    int status;

    if (argc < 5) {
        (void)fprintf(stderr, "usage: writer SOCKET DIRECTORY PAUSE-USEC TABLE...\n");
        return 2;
    }
    (void)sigaction(SIGTERM, &action, NULL); /* to the whole process group */
    for (int i = 4; i < argc; i++) {
        if (fork() == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            write_rows(argv[1], argv[2], argv[i], (unsigned)(i - 4),
                       (useconds_t)strtoul(argv[3], NULL, 10));
        }
    }
    while (wait(&status) > 0 || errno == EINTR) {
        result = status == 0 ? result : EXIT_FAILURE;
    }
    return result;
}
