/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * script_run.h: one running script
 *
 * A script has the hook's environment and working directory, its own process group,
 * no input, a pipe of ours as output, and no other descriptor. What it leaves running
 * may keep the pipe: nobody waits for that.
 */
#ifndef QUIESCED_HOOK_SCRIPT_RUN_H
#define QUIESCED_HOOK_SCRIPT_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SCRIPT_RUNS_MAX 512U           /* that are waited for at once */
#define SCRIPT_OUTPUT_MAX (64U * 1024) /* bytes of one script that are kept */
#define SCRIPT_LINE_MAX 768U           /* a longer line is split */

/* One line of output, without its end; later, once, what was dropped. */
typedef void script_line_fn(void *data, const char *path, const char *line);

struct birth;

struct script_run {
    const char *path;
    pid_t pid;
    int pidfd;
    int go;              /* until script_run_go(): the end of file here ends it */
    int exec;            /* reads the reason when it cannot be executed */
    struct birth *birth; /* what its process needs before that */
    int output;          /* -1 once it was read to its end */
    bool ended;          /* not reaped yet */
    int code;            /* of siginfo_t, when ended */
    int status;
    uint64_t started;
    uint64_t usec; /* until it ended */
    script_line_fn *say;
    void *data;
    char line[SCRIPT_LINE_MAX + 1]; /* what is read of it, or the last one */
    size_t n_line;
    bool line_said;
    size_t kept;
    uint64_t dropped;
};

/*
 * Makes the process for @path with the argument @verb. Both stay the caller's, and
 * alive. It does not begin before script_run_go(), so that its pid can be noted first;
 * if we end before that, so does it. 0 or -errno.
 */
int script_run_start(const char *path, const char *verb, script_line_fn *say, void *data,
                     struct script_run *ret_run);

/* Lets it begin. 0, or -errno when it cannot be executed; then it is closed. */
int script_run_go(struct script_run *run);

/* Ends it instead of letting it begin, and closes it. */
void script_run_cancel(struct script_run *run);

/*
 * Waits until all @n of @runs have ended (some may have before), and reads what they
 * print. 0, -ETIMEDOUT, -EINTR when @wake_fd (-1: none) is readable, or another -errno.
 */
int script_run_wait(struct script_run *const *runs, size_t n, int wake_fd, uint64_t deadline);

/* Ends it and its process group: SIGTERM, and SIGKILL after at most @grace. It has
 * ended then, unless it cannot. */
void script_run_kill(struct script_run *run, uint64_t grace);

/* The end: reads what is left of the output, reaps it if it has ended, and leaves it
 * alone if not; what still writes to the pipe may go on. */
void script_run_close(struct script_run *run);

/* Has it not ended by exiting with 0? */
bool script_run_failed(const struct script_run *run);

/* Why it failed, to be freed: "exit status 1: its last line". NULL when it has not,
 * or without memory. */
char *script_run_error(const struct script_run *run);

#endif
