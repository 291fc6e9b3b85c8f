/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fsfreeze-hook: what qemu-ga calls with "freeze" and "thaw" */
#include <config.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "call.h"
#include "freeze.h"
#include "scripts.h"
#include "thaw.h"
#include "util.h"

enum {
    EXIT_USAGE = 2,
};

static const char usage[] = "usage: fsfreeze-hook freeze|thaw\n"
                            "       fsfreeze-hook --help|--version\n";

static const char *from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : otherwise;
}

/* Descriptors below 3 are there: nothing that is opened later becomes one of them. */
static void open_standard(void)
{
    int fd;

    if (fcntl(STDIN_FILENO, F_GETFD) >= 0 && fcntl(STDOUT_FILENO, F_GETFD) >= 0 &&
        fcntl(STDERR_FILENO, F_GETFD) >= 0) {
        return;
    }
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    (void)util_close(fd);
}

/* Signals are blocked, and read from *ret_fd; a thaw reads none. */
static int block_signals(int *ret_fd)
{
    sigset_t ending;
    int fd;

    (void)sigemptyset(&ending);
    (void)sigaddset(&ending, SIGTERM);
    (void)sigaddset(&ending, SIGINT);
    (void)sigaddset(&ending, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &ending, NULL) < 0) {
        return -errno;
    }
    /* an ignored signal would never become readable, an ignored child never waited for */
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGHUP, SIG_DFL);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)signal(SIGPIPE, SIG_IGN);
    fd = signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    *ret_fd = fd;
    return 0;
}

static void configure(struct call *call, const char *own_scripts)
{
    call->runtime_dir = from_environment("QUIESCED_RUNTIME_DIR", QUIESCED_RUNTIME_DIR_DEFAULT);
    call->state_dir = from_environment("QUIESCED_STATE_DIR", QUIESCED_STATE_DIR_DEFAULT);
    call->log_file = from_environment("QUIESCED_LOG_FILE", QUIESCED_LOG_FILE_DEFAULT);
    call->hooks_path = from_environment("QUIESCED_HOOKS_PATH", own_scripts);
    if (settings_load(call->config_dir, &call->settings, &call->settings_error) < 0) {
        settings_default(&call->settings);
        if (call->settings_error == NULL) {
            call->settings_error = strdup("cannot read quiesced.conf");
        }
    }
}

static int run(const char *verb, void (*way)(struct call *call), uint64_t started)
{
    CLEANUP_FREE char *scripts = NULL;
    struct call call;
    bool failed;
    int r;

    open_standard();
    r = call_init(&call, verb, started);
    if (r == 0) {
        r = block_signals(&call.wake_fd);
    }
    if (r == 0) {
        call.config_dir = from_environment("QUIESCED_CONFIG_DIR", QUIESCED_CONFIG_DIR_DEFAULT);
        r = asprintf(&scripts, "%s/hooks.d:" SCRIPTS_LEGACY_PATH, call.config_dir) < 0 ? -ENOMEM
                                                                                       : 0;
    }
    if (r < 0) {
        (void)fprintf(stderr, "quiesced: cannot start: %s\n", strerror(-r));
        return EXIT_FAILURE;
    }
    configure(&call, scripts);
    way(&call);
    call_print(&call);
    call_end(&call);
    failed = call.failed;
    call_free(&call);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    uint64_t started = now_usec();

    if (argc == 2 && strcmp(argv[1], "freeze") == 0) {
        return run("freeze", freeze, started);
    }
    if (argc == 2 && strcmp(argv[1], "thaw") == 0) {
        return run("thaw", thaw, started);
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)puts("fsfreeze-hook " PACKAGE_VERSION);
        return EXIT_SUCCESS;
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        (void)fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    (void)fputs(usage, stderr);
    return EXIT_USAGE;
}
