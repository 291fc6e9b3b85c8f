/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "worker.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "apps.h"
#include "util.h"
#include "wire.h"

#define WORKER_SOCKET_FD 3
#define DISMISS_TIMEOUT USEC_PER_SEC
#define MESSAGES_MAX 64U        /* that are taken before others have their turn */

enum worker_state {
    WORKER_SERVING,
    WORKER_DISMISSED,
    WORKER_GIVEN_UP,
};

struct worker {
    struct workers *all;
    struct worker *next;
    enum worker_state state;
    char app[APP_NAME_MAX + 1];
    unsigned index;
    pid_t pid;
    int fd;
    sd_event_source *io;
    sd_event_source *child;
    sd_event_source *timer;
};

struct workers {
    sd_event *event;
    const struct worker_paths *paths;
    const struct worker_handlers *handlers;
    void *data;
    struct worker *first;
};

static void worker_free(struct worker *worker)
{
    struct worker **link = &worker->all->first;

    while (*link != worker) {
        link = &(*link)->next;
    }
    *link = worker->next;
    sd_event_source_disable_unref(worker->io);
    sd_event_source_disable_unref(worker->child);
    sd_event_source_disable_unref(worker->timer);
    util_close(worker->fd);
    free(worker);
}

int workers_new(sd_event *event, const struct worker_paths *paths,
                const struct worker_handlers *handlers, void *data,
                struct workers **ret_workers)
{
    struct workers *workers = calloc(1, sizeof(*workers));

    if (workers == NULL) {
        return -ENOMEM;
    }
    workers->event = sd_event_ref(event);
    workers->paths = paths;
    workers->handlers = handlers;
    workers->data = data;
    *ret_workers = workers;
    return 0;
}

struct workers *workers_free(struct workers *workers)
{
    if (workers != NULL) {
        while (workers->first != NULL) {
            worker_kill(workers->first);
            worker_free(workers->first);
        }
        sd_event_unref(workers->event);
        free(workers);
    }
    return NULL;
}

/* Takes one message. 1, 0 when there is none, -errno when the worker has closed its side
 * or spoken what is no message. */
static int worker_hear(struct worker *worker)
{
    json_object *message = NULL;
    int r = wire_receive(worker->fd, &message);

    if (r < 0) {
        return r == -EAGAIN || r == -EINTR ? 0 : r;
    }
    worker->all->handlers->message(worker->all->data, worker, message);
    json_object_put(message);
    return 1;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *data)
{
    struct worker *worker = data;
    unsigned n = 0;
    int r = 1;

    (void)fd;
    (void)events;
    while (worker->state == WORKER_SERVING && r > 0 && n < MESSAGES_MAX) {
        r = worker_hear(worker);
        n++;
    }
    if (worker->state != WORKER_SERVING || r < 0) {
        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
        if (worker->state == WORKER_SERVING) {
            /* it exits, or it is of no use */
            worker_kill(worker);
        }
    }
    /* one that babbles is heard when all others were */
    (void)sd_event_source_set_priority(source, n == MESSAGES_MAX ? SD_EVENT_PRIORITY_IDLE
                                                                 : SD_EVENT_PRIORITY_NORMAL);
    return 0;
}

static int on_exit_status(sd_event_source *source, const siginfo_t *si, void *data)
{
    struct worker *worker = data;
    char how[64];

    (void)source;
    while (worker->state == WORKER_SERVING && worker_hear(worker) > 0) {
    }
    if (worker->state == WORKER_SERVING) {
        if (si->si_code == CLD_EXITED) {
            (void)snprintf(how, sizeof(how), "exited with status %d", si->si_status);
        } else {
            (void)snprintf(how, sizeof(how), "was killed by signal %d", si->si_status);
        }
        worker->all->handlers->gone(worker->all->data, worker, how);
    }
    worker_free(worker);
    return 0;
}

static int on_dismiss_timeout(sd_event_source *source, uint64_t usec, void *data)
{
    (void)source;
    (void)usec;
    worker_kill(data);
    return 0;
}

/* "CREDENTIALS_DIRECTORY=..." as the service manager has set it for us, or NULL */
static char *credentials_variable(char buffer[static PATH_MAX])
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    int n;

    if (directory == NULL) {
        return NULL;
    }
    n = snprintf(buffer, PATH_MAX, "CREDENTIALS_DIRECTORY=%s", directory);
    return n > 0 && n < PATH_MAX ? buffer : NULL;
}

static int spawn(struct worker *worker, int socket)
{
    const struct worker_paths *paths = worker->all->paths;
    char parent[24];
    char *const argv[] = {(char *)"quiesced-worker",
                          (char *)"--app",
                          worker->app,
                          (char *)"--parent",
                          parent,
                          (char *)"--config-dir",
                          (char *)paths->config_dir,
                          (char *)"--plugin-dir",
                          (char *)paths->plugin_dir,
                          NULL};
    char credentials[PATH_MAX];
    char *const environment[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                                 (char *)"LANG=C.UTF-8", credentials_variable(credentials), NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t all;
    int r;

    (void)snprintf(parent, sizeof(parent), "%d", (int)getpid());
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    if (posix_spawn_file_actions_init(&actions) != 0) {
        return -ENOMEM;
    }
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -ENOMEM;
    }
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                    POSIX_SPAWN_SETSIGDEF);
    r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
    if (r == 0) {
        r = posix_spawn_file_actions_adddup2(&actions, 0, 1);
    }
    if (r == 0) {
        r = posix_spawn_file_actions_adddup2(&actions, 0, 2);
    }
    if (r == 0) {
        r = posix_spawn_file_actions_adddup2(&actions, socket, WORKER_SOCKET_FD);
    }
    if (r == 0) {
        r = posix_spawn(&worker->pid, paths->worker, &actions, &attributes, argv, environment);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

static int watch(struct worker *worker)
{
    sd_event *event = worker->all->event;
    int r = sd_event_add_child(event, &worker->child, worker->pid, WEXITED, on_exit_status, worker);

    if (r >= 0) {
        r = sd_event_add_io(event, &worker->io, worker->fd, EPOLLIN, on_io, worker);
    }
    return r < 0 ? r : 0;
}

int worker_start(struct workers *workers, const char *app, unsigned index,
                 struct worker **ret_worker)
{
    struct worker *worker;
    int pair[2];
    int r;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
        return -errno;
    }
    CLEANUP_CLOSE int theirs = pair[1];

    worker = calloc(1, sizeof(*worker));
    if (worker == NULL) {
        util_close(pair[0]);
        return -ENOMEM;
    }
    (void)snprintf(worker->app, sizeof(worker->app), "%s", app);
    worker->all = workers;
    worker->index = index;
    worker->fd = pair[0];
    worker->next = workers->first;
    workers->first = worker;
    r = spawn(worker, theirs);
    if (r == 0) {
        r = watch(worker);
        if (r < 0) {
            worker_kill(worker);
        }
    }
    if (r < 0) {
        worker_free(worker);
        return r;
    }
    *ret_worker = worker;
    return 0;
}

unsigned worker_index(const struct worker *worker)
{
    return worker->index;
}

int worker_request(struct worker *worker, json_object *request)
{
    return wire_send(worker->fd, request);
}

void worker_kill(struct worker *worker)
{
    if (worker->pid > 0 && kill(-worker->pid, SIGKILL) < 0) {
        (void)kill(worker->pid, SIGKILL);
    }
}

void worker_dismiss(struct worker *worker)
{
    worker->state = WORKER_DISMISSED;
    /* the end of file that it waits for, should it not exit by itself */
    (void)shutdown(worker->fd, SHUT_WR);
    if (sd_event_add_time_relative(worker->all->event, &worker->timer, CLOCK_MONOTONIC,
                                   DISMISS_TIMEOUT, 0, on_dismiss_timeout, worker) < 0) {
        worker_kill(worker);
    }
}

pid_t worker_give_up(struct worker *worker)
{
    worker->state = WORKER_GIVEN_UP;
    return worker->pid;
}

pid_t workers_stuck(const struct workers *workers, const char *app)
{
    for (const struct worker *worker = workers->first; worker != NULL; worker = worker->next) {
        if (worker->state == WORKER_GIVEN_UP && strcmp(worker->app, app) == 0) {
            return worker->pid;
        }
    }
    return 0;
}
