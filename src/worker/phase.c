/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host.h"
#include "options.h"
#include "phase.h"
#include "plugin.h"
#include "util.h"
#include "wire.h"

#define ERRNO_MAX 4095

/* How long the plugin may look for the reason of a loss. */
#define REASON_TIME USEC_PER_SEC

/*
 *  state     | request   0          not 0      cancelled
 *  ----------+-------------------------------------------
 *  NEW       | prepare   PREPARED   FAILED     FAILED
 *  PREPARED  | freeze    HELD       FAILED     FAILED
 *  HELD      | check     HELD       HELD       HELD
 *  HELD      | thaw      OVER       OVER       HELD
 *  any       | abort     OVER
 *
 * Any other request is refused and changes nothing. The end of the socket is an
 * abort that nobody waits for.
 */
enum state {
    STATE_NEW,
    STATE_PREPARED,
    STATE_HELD,
    STATE_FAILED, /* by contract nothing is held; waits for the abort */
    STATE_OVER,
};

struct phases {
    int fd;
    const char *config_dir;
    const char *plugin_dir;
    struct host host;
    struct plugin plugin;
    void *self;
    bool created; /* @self is an instance, NULL or not */
    enum state state;
    int watch_fd;
    uint64_t hold_deadline;
};

static const char *state_name(enum state state)
{
    switch (state) {
    case STATE_NEW:
        return "has prepared nothing";
    case STATE_PREPARED:
        return "has prepared";
    case STATE_HELD:
        return "holds";
    case STATE_FAILED:
        return "has failed";
    case STATE_OVER:
        return "is done";
    }
    abort();
}

int phases_new(int fd, const char *app, const char *config_dir, const char *plugin_dir,
               struct phases **ret_phases)
{
    struct phases *p = calloc(1, sizeof(*p));
    int r;

    if (p == NULL) {
        return -ENOMEM;
    }
    p->fd = fd;
    p->config_dir = config_dir;
    p->plugin_dir = plugin_dir;
    p->watch_fd = -1;
    p->hold_deadline = PHASES_NO_DEADLINE;
    r = host_init(&p->host, app, fd);
    if (r < 0) {
        phases_free(p);
        return r;
    }
    *ret_phases = p;
    return 0;
}

struct phases *phases_free(struct phases *phases)
{
    if (phases != NULL) {
        host_clear(&phases->host);
        /* Not unloaded: a client library may have left code behind that runs at exit. */
        free(phases->plugin.path);
        free(phases);
    }
    return NULL;
}

void phases_end(struct phases *phases)
{
    if (phases->created) {
        if (phases->state != STATE_OVER) {
            phases->plugin.api.abort(phases->self);
        }
        phases->plugin.api.destroy(phases->self);
        phases->created = false;
    }
    phases->state = STATE_OVER;
    phases->watch_fd = -1;
}

/* Waits for room, since logs may have filled the socket, but not beyond @deadline. */
static int packet_send(const struct phases *p, json_object *packet, uint64_t deadline)
{
    struct pollfd room = { .fd = p->fd, .events = POLLOUT };
    int r;

    do {
        r = wire_send(p->fd, packet);
    } while (r == -EAGAIN && poll(&room, 1, deadline_ms(deadline)) > 0);
    return r;
}

static void member_string(json_object *object, const char *key, const char *text)
{
    if (text != NULL) {
        (void)json_object_object_add(object, key, json_object_new_string(text));
    }
}

/* -ECANCELED counts only when there is something to read. */
static bool phase_cancelled(const struct phases *p, int r)
{
    struct pollfd daemon = { .fd = p->fd, .events = POLLIN };

    return r == -ECANCELED && poll(&daemon, 1, 0) > 0;
}

/* Why the return value of @phase is a failure, unless the plugin has said so. */
static void reason_complete(struct phases *p, const char *phase, int r)
{
    const struct quiesced_host *host = &p->host.api;
    const char *name = p->plugin.api.name;

    if (name == NULL) {
        host_error(host, "cannot load the plugin: %s", strerror(-r));
    } else if (r < 0 && r >= -ERRNO_MAX) {
        host_error(host, "the plugin '%s' failed without a reason: %s", name, strerror(-r));
    } else {
        host_error(host, "the plugin '%s' answered %s with the unknown value %d", name, phase, r);
    }
}

static int prepare_run(struct phases *p, json_object *request, uint64_t deadline)
{
    const struct quiesced_plugin *api = &p->plugin.api;
    const char *name;
    int r;

    if (wire_get_string(request, "plugin", &name) < 0) {
        host_error(&p->host.api, "the daemon named no plugin");
        return -EBADMSG;
    }
    r = plugin_load(p->plugin_dir, name, &p->host, &p->plugin);
    if (r < 0) {
        return r;
    }
    p->host.api.log(&p->host.api, QUIESCED_DEBUG, "loaded the plugin '%s' %s", p->plugin.path,
                    api->version != NULL ? api->version : "");
    r = api->create(&p->host.api, &p->self);
    if (r != 0) {
        return r < 0 ? r : -EPROTO;
    }
    p->created = true;
    r = options_apply(p->config_dir, &p->plugin, p->self, &p->host);
    if (r == 0 && api->ready != NULL) {
        r = api->ready(p->self);
        if (r > 0) {
            r = -EPROTO;
        }
    }
    if (r < 0) {
        return r;
    }
    r = api->prepare(p->self, deadline);
    if (r == QUIESCED_NOT_RUNNING) {
        host_error(&p->host.api, "the application does not run");
    }
    return r;
}

/*
 * Kills this process a little after @hold_deadline, whatever it does then. A callback
 * that blocks cannot stop it, nor can a daemon that was stopped.
 */
static int backstop_set(uint64_t hold_deadline)
{
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
    uint64_t at = hold_deadline + DEADLINE_MARGIN;
    struct itimerspec when = {
        .it_value = {
            .tv_sec = (time_t)(at / USEC_PER_SEC),
            .tv_nsec = (long)(at % USEC_PER_SEC * NSEC_PER_USEC),
        },
    };
    timer_t timer;

    if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 ||
        timer_settime(timer, TIMER_ABSTIME, &when, NULL) < 0) {
        return -errno;
    }
    return 0;
}

static int freeze_run(struct phases *p, json_object *request, uint64_t deadline)
{
    const struct quiesced_plugin *api = &p->plugin.api;
    uint64_t hold_deadline;
    int r;

    if (wire_get_uint(request, "hold_deadline", &hold_deadline) < 0 || hold_deadline >= INT64_MAX) {
        host_error(&p->host.api, "the daemon gave no deadline for the hold");
        return -EBADMSG;
    }
    if (hold_deadline <= now_usec()) {
        host_error(&p->host.api, "the deadline of the hold has passed before it was taken");
        return -ETIMEDOUT;
    }
    r = backstop_set(hold_deadline);
    if (r < 0) {
        host_error(&p->host.api, "cannot set a timer for the end of the hold: %s", strerror(-r));
        return r;
    }
    p->hold_deadline = hold_deadline;
    r = api->freeze(p->self, min_usec(deadline, hold_deadline), hold_deadline);
    if (r == 0 && api->watch_fd != NULL) {
        p->watch_fd = api->watch_fd(p->self);
    }
    return r;
}

static int check_run(struct phases *p, json_object *request, uint64_t deadline)
{
    (void)request;
    return p->plugin.api.check(p->self, min_usec(deadline, p->hold_deadline));
}

static int thaw_run(struct phases *p, json_object *request, uint64_t deadline)
{
    (void)request;
    return p->plugin.api.thaw(p->self, min_usec(deadline, p->hold_deadline));
}

struct phase {
    const char *name;
    enum state from;
    enum state success;
    enum state failure;
    enum state cancelled;
    int (*run)(struct phases *p, json_object *request, uint64_t deadline);
};

static const struct phase phase_table[] = {
    { "prepare", STATE_NEW, STATE_PREPARED, STATE_FAILED, STATE_FAILED, prepare_run },
    { "freeze", STATE_PREPARED, STATE_HELD, STATE_FAILED, STATE_FAILED, freeze_run },
    { "check", STATE_HELD, STATE_HELD, STATE_HELD, STATE_HELD, check_run },
    { "thaw", STATE_HELD, STATE_OVER, STATE_OVER, STATE_HELD, thaw_run },
};

static const struct phase *phase_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(phase_table); i++) {
        if (strcmp(phase_table[i].name, name) == 0) {
            return &phase_table[i];
        }
    }
    return NULL;
}

/* What the host collected, and what became of the phase @name. */
static int reply_send(const struct phases *p, const char *name, const char *result,
                      uint64_t deadline)
{
    const struct host *host = &p->host;
    json_object *reply = json_object_new_object();
    int r = -ENOMEM;

    if (reply != NULL) {
        member_string(reply, "reply", name);
        member_string(reply, "result", result);
        member_string(reply, "error", strcmp(result, "ok") != 0 ? host->error : NULL);
        if (strcmp(name, "prepare") == 0 || strcmp(name, "freeze") == 0) {
            member_string(reply, "server", host->server);
            member_string(reply, "method", host->method);
        }
        if (strcmp(name, "freeze") == 0) {
            (void)json_object_object_add(reply, "coordinates", json_object_get(host->coordinates));
        }
        r = packet_send(p, reply, min_usec(deadline, p->hold_deadline));
    }
    (void)json_object_put(reply);
    return r;
}

static int abort_run(struct phases *p, uint64_t deadline)
{
    int r;

    phases_end(p);
    r = reply_send(p, "abort", "ok", deadline);
    return r < 0 ? r : 1;
}

/* 0 and the request's deadline, or -errno and why it is not carried out. */
static int request_check(struct phases *p, json_object *request, const struct phase *phase,
                         const char *name, uint64_t *ret_deadline)
{
    uint64_t protocol = 0;

    if (p->state == STATE_NEW &&
        (wire_get_uint(request, "protocol", &protocol) < 0 || protocol != WIRE_PROTOCOL)) {
        host_error(&p->host.api,
                   "the daemon speaks protocol %ju, this worker %d: restart quiesced.service",
                   (uintmax_t)protocol, WIRE_PROTOCOL);
        return -EPROTONOSUPPORT;
    }
    if (phase == NULL) {
        host_error(&p->host.api, "the daemon asked for '%s', which the worker does not know", name);
        return -EOPNOTSUPP;
    }
    if (phase->from != p->state) {
        host_error(&p->host.api, "the daemon asked for %s when the worker %s", name,
                   state_name(p->state));
        return -EPROTO;
    }
    if (wire_get_uint(request, "deadline", ret_deadline) < 0) {
        host_error(&p->host.api, "the daemon asked for %s without a deadline", name);
        return -EBADMSG;
    }
    return 0;
}

static int phase_run(struct phases *p, const struct phase *phase, json_object *request,
                     uint64_t deadline)
{
    int r = phase->run(p, request, deadline);
    const char *result = "failed";

    if (phase_cancelled(p, r)) {
        p->state = phase->cancelled;
        return 0;
    }
    if (r == 0) {
        result = "ok";
    } else if (r == QUIESCED_NOT_RUNNING && phase->from == STATE_NEW) {
        result = "not-running";
    } else {
        reason_complete(p, phase->name, r);
    }
    p->state = r == 0 ? phase->success : phase->failure;
    r = reply_send(p, phase->name, result, deadline);
    if (p->state == STATE_OVER) {
        phases_end(p);
        return r < 0 ? r : 1;
    }
    return r;
}

int phases_request(struct phases *phases, json_object *request)
{
    const struct phase *phase;
    const char *name;
    uint64_t deadline = now_usec() + USEC_PER_SEC;
    int r;

    if (wire_get_string(request, "do", &name) < 0) {
        return -EBADMSG;
    }
    host_error_forget(&phases->host);
    if (strcmp(name, "abort") == 0) {
        (void)wire_get_uint(request, "deadline", &deadline);
        return abort_run(phases, deadline);
    }
    phase = phase_find(name);
    r = request_check(phases, request, phase, name, &deadline);
    if (r < 0) {
        return reply_send(phases, name, "failed", deadline);
    }
    return phase_run(phases, phase, request, deadline);
}

uint64_t phases_hold_deadline(const struct phases *phases)
{
    return phases->hold_deadline;
}

int phases_watch_fd(const struct phases *phases)
{
    return phases->watch_fd;
}

/* Lets go first: who reads "lost" may rely on it. */
static void hold_end(struct phases *p, const char *why)
{
    bool held = p->state == STATE_HELD;
    json_object *packet;

    phases_end(p);
    packet = json_object_new_object();
    if (held && packet != NULL) {
        member_string(packet, "lost", why);
        (void)packet_send(p, packet, now_usec() + DEADLINE_MARGIN);
    }
    (void)json_object_put(packet);
}

void phases_lost(struct phases *phases)
{
    uint64_t deadline = min_usec(now_usec() + REASON_TIME, phases->hold_deadline);
    const char *why = NULL;

    host_error_forget(&phases->host);
    if (phases->plugin.api.check(phases->self, deadline) != 0) {
        why = phases->host.error; /* stays until it is forgotten */
    }
    hold_end(phases, why != NULL ? why : "the hold was lost, the plugin does not say why");
}

void phases_expired(struct phases *phases)
{
    hold_end(phases, "the hold was lost: the hold deadline passed");
}
