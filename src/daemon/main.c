/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quiesced: the persistent helper that keeps applications held */
#include <config.h>

#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "calls.h"
#include "journal.h"
#include "util.h"

static const char *arg_config_dir = QUIESCED_CONFIG_DIR_DEFAULT;
static const char *arg_runtime_dir = QUIESCED_RUNTIME_DIR_DEFAULT;
static const char *arg_plugin_dir = QUIESCED_PLUGIN_DIR_DEFAULT;
static const char *arg_worker = QUIESCED_WORKER_PATH_DEFAULT;

static void usage(FILE *stream)
{
    (void)fprintf(stream, "Usage: quiesced [OPTION...]\n"
                          "Keeps applications consistent while a guest is snapshotted.\n\n"
                          "  --config-dir DIR    configuration [" QUIESCED_CONFIG_DIR_DEFAULT "]\n"
                          "  --runtime-dir DIR   socket and marker [" QUIESCED_RUNTIME_DIR_DEFAULT
                          "]\n"
                          "  --plugin-dir DIR    plugins [" QUIESCED_PLUGIN_DIR_DEFAULT "]\n"
                          "  --worker FILE       worker [" QUIESCED_WORKER_PATH_DEFAULT "]\n"
                          "  --version           print the version\n"
                          "  --help              print this\n");
}

/* The daemon's directory is /, and a worker is told the same paths. */
static int check_paths(void)
{
    const char *const paths[] = {arg_config_dir, arg_runtime_dir, arg_plugin_dir, arg_worker};

    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        if (paths[i][0] != '/') {
            (void)fprintf(stderr, "quiesced: the path '%s' is not absolute\n", paths[i]);
            return -EINVAL;
        }
    }
    return 1;
}

/* 1: go on, 0: done, -EINVAL */
static int parse_arguments(int argc, char **argv)
{
    enum { CONFIG_DIR = 'c', RUNTIME_DIR = 'r', PLUGIN_DIR = 'p', WORKER = 'w' };
    static const struct option options[] = {
        {"config-dir", required_argument, NULL, CONFIG_DIR},
        {"runtime-dir", required_argument, NULL, RUNTIME_DIR},
        {"plugin-dir", required_argument, NULL, PLUGIN_DIR},
        {"worker", required_argument, NULL, WORKER},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        switch (option) {
        case CONFIG_DIR:
            arg_config_dir = optarg;
            break;
        case RUNTIME_DIR:
            arg_runtime_dir = optarg;
            break;
        case PLUGIN_DIR:
            arg_plugin_dir = optarg;
            break;
        case WORKER:
            arg_worker = optarg;
            break;
        case 'V':
            (void)printf("%s\n", PACKAGE_STRING);
            return 0;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return -EINVAL;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "quiesced: unexpected argument '%s'\n", argv[optind]);
        return -EINVAL;
    }
    return check_paths();
}

/* The socket that a supervisor hands over, or one of our own. */
static int open_socket(int *ret_fd, enum server_peers *ret_peers)
{
    CLEANUP_FREE char *path = NULL;
    int n = sd_listen_fds(1);
    int r;

    if (n > 1) {
        (void)fprintf(stderr, "quiesced: expected one socket from the supervisor, got %d\n", n);
        return -EINVAL;
    }
    if (n == 1) {
        if (sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0) <= 0) {
            (void)fprintf(stderr, "quiesced: what the supervisor handed over is no listening "
                                  "unix socket\n");
            return -EINVAL;
        }
        *ret_fd = SD_LISTEN_FDS_START;
        *ret_peers = SERVER_PEERS_ROOT;
        return 0;
    }
    if (asprintf(&path, "%s/%s", arg_runtime_dir, SERVER_SOCKET_NAME) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    if (mkdir(arg_runtime_dir, 0755) < 0 && errno != EEXIST) {
        (void)fprintf(stderr, "quiesced: cannot make '%s': %s\n", arg_runtime_dir,
                      strerror(errno));
        return -errno;
    }
    r = server_listen(path, ret_fd);
    if (r < 0) {
        (void)fprintf(stderr, "quiesced: cannot listen on '%s': %s\n", path, strerror(-r));
        return r;
    }
    *ret_peers = SERVER_PEERS_ROOT_AND_SELF;
    return 0;
}

static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *si, void *data)
{
    (void)source;
    (void)si;
    calls_terminate(data);
    return 0;
}

/* Signals are events, and a core could carry what nobody may read. */
static int set_up_process(void)
{
    const struct rlimit no_core = {0, 0};
    sigset_t blocked;

    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGCHLD);
    (void)sigaddset(&blocked, SIGTERM);
    (void)sigaddset(&blocked, SIGINT);
    (void)sigaddset(&blocked, SIGHUP);
    return sigprocmask(SIG_SETMASK, &blocked, NULL) < 0 ? -errno : 0;
}

static int serve(struct journal *journal)
{
    const struct conductor_options options = {
        .runtime_dir = arg_runtime_dir,
        .paths =
            {
                .worker = arg_worker,
                .config_dir = arg_config_dir,
                .plugin_dir = arg_plugin_dir,
            },
    };
    enum server_peers peers = SERVER_PEERS_ROOT;
    struct calls *calls = NULL;
    sd_event *event = NULL;
    int fd = -1;
    int r = open_socket(&fd, &peers);

    if (r < 0) {
        return r;
    }
    r = sd_event_default(&event);
    if (r >= 0) {
        r = calls_new(event, fd, peers, &options, journal, &calls);
    }
    if (r >= 0) {
        r = sd_event_add_signal(event, NULL, SIGTERM, on_terminate, calls);
    }
    if (r >= 0) {
        r = sd_event_add_signal(event, NULL, SIGINT, on_terminate, calls);
    }
    if (r >= 0) {
        (void)sd_event_set_watchdog(event, 1);
        (void)sd_notify(0, "READY=1\nSTATUS=idle");
        r = sd_event_loop(event);
    }
    (void)sd_notify(0, "STOPPING=1");
    (void)calls_free(calls);
    sd_event_unref(event);
    return r;
}

int main(int argc, char **argv)
{
    struct journal *journal = NULL;
    int r = parse_arguments(argc, argv);

    if (r <= 0) {
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    r = set_up_process();
    if (r == 0) {
        r = journal_open("quiesced", JOURNAL_OR_STDERR, &journal);
    }
    if (r == 0) {
        r = serve(journal);
    }
    if (r < 0) {
        (void)fprintf(stderr, "quiesced: cannot start: %s\n", strerror(-r));
    }
    (void)journal_close(journal);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
