/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stopwatch ROUNDS: how long programs take from their start to their end
 *
 * Each line of stdin is a contender: programs with one argument each, in turn
 * ("PROGRAM ARGUMENT PROGRAM ARGUMENT"), started as qemu-ga starts its hook. Each
 * round runs every contender once; each run is a line of stdout: the number of the
 * contender, and nanoseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define CONTENDERS_MAX 16
#define WORDS_MAX 512

extern char **environ;

struct contender {
    char *words[WORDS_MAX];
    size_t n;
};

static posix_spawn_file_actions_t actions;
static posix_spawnattr_t attributes;

static uint64_t now_nsec(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void spawn_init(void)
{
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
    (void)posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_RDWR, 0);
    (void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_RDWR, 0);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    (void)signal(SIGPIPE, SIG_IGN);
}

static void run_one(char *program, char *argument)
{
    char *const argv[] = { program, argument, NULL };
    int status;
    pid_t pid;
    int r = posix_spawn(&pid, program, &actions, &attributes, argv, environ);

    if (r != 0) {
        (void)fprintf(stderr, "stopwatch: cannot start '%s': %s\n", program, strerror(r));
        exit(EXIT_FAILURE);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        (void)fprintf(stderr, "stopwatch: '%s %s' failed with status %d\n", program, argument,
                      status);
        exit(EXIT_FAILURE);
    }
}

static uint64_t run(const struct contender *contender)
{
    uint64_t begin = now_nsec();

    for (size_t i = 0; i + 1 < contender->n; i += 2) {
        run_one(contender->words[i], contender->words[i + 1]);
    }
    return now_nsec() - begin;
}

static size_t read_contenders(struct contender *contenders)
{
    size_t n = 0;
    char *line = NULL;
    size_t size = 0;

    while (n < CONTENDERS_MAX && getline(&line, &size, stdin) > 0) {
        struct contender *contender = &contenders[n++];
        char *rest = line;
        char *word;

        while ((word = strsep(&rest, " \n")) != NULL && contender->n < WORDS_MAX) {
            if (word[0] != '\0') {
                contender->words[contender->n++] = word;
            }
        }
        line = NULL; /* the words are in it */
    }
    return n;
}

int main(int argc, char **argv)
{
    static struct contender contenders[CONTENDERS_MAX];
    unsigned long rounds = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    size_t n = read_contenders(contenders);

    if (rounds == 0 || n == 0) {
        (void)fprintf(stderr, "usage: stopwatch ROUNDS <contenders\n");
        return 2;
    }
    spawn_init();
    for (unsigned long i = 0; i < rounds; i++) {
        for (size_t j = 0; j < n; j++) {
            (void)printf("%zu %" PRIu64 "\n", j, run(&contenders[j]));
        }
    }
    return EXIT_SUCCESS;
}
