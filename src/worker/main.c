/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quiesced-worker: runs one plugin for one app during one cycle
 *
 * Started by quiesced, with the daemon's socket as descriptor 3. It may block, since
 * a worker that is late is killed; whatever its plugin holds ends with the process.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps.h"
#include "phase.h"
#include "util.h"
#include "wire.h"

#define SOCKET_FD 3

static const char *arg_app;
static const char *arg_parent;
static const char *arg_config_dir = QUIESCED_CONFIG_DIR_DEFAULT;
static const char *arg_plugin_dir = QUIESCED_PLUGIN_DIR_DEFAULT;

static int usage(void)
{
    (void)fprintf(stderr, "quiesced-worker is started by quiesced: quiesced-worker --app NAME "
                          "--parent PID [--config-dir DIR] [--plugin-dir DIR]\n");
    return -EINVAL;
}

static int arguments_parse(int argc, char *argv[])
{
    static const struct option options[] = {
        { "app", required_argument, NULL, 'a' },
        { "parent", required_argument, NULL, 'p' },
        { "config-dir", required_argument, NULL, 'c' },
        { "plugin-dir", required_argument, NULL, 'd' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'a':
            arg_app = optarg;
            break;
        case 'p':
            arg_parent = optarg;
            break;
        case 'c':
            arg_config_dir = optarg;
            break;
        case 'd':
            arg_plugin_dir = optarg;
            break;
        default:
            return usage();
        }
    }
    if (optind != argc || arg_parent == NULL || arg_app == NULL || !app_name_valid(arg_app)) {
        return usage();
    }
    return 0;
}

/* The parent may have died before prctl() was called: then somebody else is it now. */
static int parent_check(void)
{
    char parent[3 * sizeof(pid_t) + 1];

    (void)snprintf(parent, sizeof(parent), "%d", (int)getppid());
    return strcmp(parent, arg_parent) == 0 ? 0 : -ESRCH;
}

/* No core with a password in it, and nothing of the daemon's but the socket. */
static int process_harden(void)
{
    const struct rlimit none = { 0, 0 };
    sigset_t empty;

    if (prctl(PR_SET_DUMPABLE, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
        close_range(SOCKET_FD + 1, ~0U, 0) < 0 || fcntl(SOCKET_FD, F_SETFD, FD_CLOEXEC) < 0) {
        return -errno;
    }
    (void)sigemptyset(&empty);
    /* what the daemon had blocked; and a server that hangs up is an error, not a death */
    if (sigprocmask(SIG_SETMASK, &empty, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        return -errno;
    }
    return 0;
}

static int socket_check(void)
{
    int type = 0;
    socklen_t size = sizeof(type);

    if (getsockopt(SOCKET_FD, SOL_SOCKET, SO_TYPE, &type, &size) < 0) {
        return -errno;
    }
    return type == SOCK_SEQPACKET ? 0 : -EPROTOTYPE;
}

/* One packet. 1 when nothing follows it, -errno when there is no talking any more. */
static int packet_handle(struct phases *phases)
{
    json_object *request;
    int r = wire_receive(SOCKET_FD, &request);

    if (r == -EAGAIN || r == -EINTR) {
        return 0;
    }
    if (r < 0) {
        return r;
    }
    r = phases_request(phases, request);
    (void)json_object_put(request);
    return r;
}

static int timeout_ms(const struct phases *phases)
{
    uint64_t deadline = phases_hold_deadline(phases);

    return deadline == PHASES_NO_DEADLINE ? -1 : deadline_ms(deadline);
}

/*
 * Requests, until the last one. A request goes before the watched descriptor: its
 * answer says best what became of the hold.
 */
static int loop(struct phases *phases)
{
    for (;;) {
        struct pollfd fds[] = {
            { .fd = SOCKET_FD, .events = POLLIN },
            { .fd = phases_watch_fd(phases), .events = POLLIN },
        };
        int r = 0;

        if (poll(fds, ARRAY_SIZE(fds), timeout_ms(phases)) < 0 && errno != EINTR) {
            return -errno;
        }
        if (phases_hold_deadline(phases) <= now_usec()) {
            phases_expired(phases);
            return 0;
        }
        if (fds[0].revents != 0) {
            r = packet_handle(phases);
        } else if (fds[1].revents != 0) {
            phases_lost(phases);
            return 0;
        }
        if (r != 0) {
            return r < 0 ? r : 0;
        }
    }
}

static int worker_run(void)
{
    struct phases *phases;
    int r = phases_new(SOCKET_FD, arg_app, arg_config_dir, arg_plugin_dir, &phases);

    if (r < 0) {
        return r;
    }
    r = loop(phases);
    phases_end(phases);
    phases_free(phases);
    return r == -EPIPE ? 0 : r; /* the daemon's end of the talk is as good as an abort */
}

int main(int argc, char *argv[])
{
    /* before anything else, so that no daemon's death is missed */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || arguments_parse(argc, argv) < 0 ||
        parent_check() < 0 || process_harden() < 0 || socket_check() < 0) {
        return EXIT_FAILURE;
    }
    return worker_run() < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
