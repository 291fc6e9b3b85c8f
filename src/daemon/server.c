/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include "server.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "connection.h"
#include "util.h"
#include "wire.h"

#define INTERFACE "io.quiesced"
#define SERVICE "org.varlink.service"
#define CONNECTIONS_MAX 32U

static const char interface_description[] =
#include "io.quiesced.varlink.inc"
    ;

static const char service_description[] =
    "interface org.varlink.service\n"
    "method GetInfo() -> (vendor: string, product: string, version: string, url: string,"
    " interfaces: []string)\n"
    "method GetInterfaceDescription(interface: string) -> (description: string)\n"
    "error InterfaceNotFound (interface: string)\n"
    "error MethodNotFound (method: string)\n"
    "error MethodNotImplemented (method: string)\n"
    "error InvalidParameter (parameter: string)\n"
    "error PermissionDenied ()\n"
    "error ExpectedMore ()\n";

struct server {
    sd_event *event;
    sd_event_source *io;
    int fd;
    enum server_peers peers;
    const struct server_handlers *handlers;
    void *data;
    struct connection *connections;
    unsigned n_connections;
};

static json_object *text_member(const char *key, const char *text)
{
    json_object *object = json_object_new_object();

    (void)json_object_object_add(object, key, json_object_new_string(text));
    return object;
}

int connection_error_reason(struct connection *connection, const char *name, const char *reason)
{
    return connection_error(connection, name, text_member("reason", reason));
}

static void get_info(struct connection *connection)
{
    json_object *info = text_member("vendor", PACKAGE_NAME);
    json_object *interfaces = json_object_new_array();

    (void)json_object_array_add(interfaces, json_object_new_string(SERVICE));
    (void)json_object_array_add(interfaces, json_object_new_string(INTERFACE));
    (void)json_object_object_add(info, "product", json_object_new_string(PACKAGE_NAME));
    (void)json_object_object_add(info, "version", json_object_new_string(PACKAGE_VERSION));
    (void)json_object_object_add(info, "url", json_object_new_string(PACKAGE_URL));
    (void)json_object_object_add(info, "interfaces", interfaces);
    (void)connection_reply(connection, info);
}

static void get_description(struct connection *connection, json_object *parameters)
{
    const char *name = NULL;

    if (wire_get_string(parameters, "interface", &name) < 0) {
        (void)connection_error(connection, SERVICE ".InvalidParameter",
                               text_member("parameter", "interface"));
    } else if (strcmp(name, INTERFACE) == 0) {
        (void)connection_reply(connection, text_member("description", interface_description));
    } else if (strcmp(name, SERVICE) == 0) {
        (void)connection_reply(connection, text_member("description", service_description));
    } else {
        (void)connection_error(connection, SERVICE ".InterfaceNotFound",
                               text_member("interface", name));
    }
}

/* One frame that came while no call was pending. */
static void dispatch(void *data, struct connection *connection, json_object *call)
{
    struct server *server = data;
    json_object *parameters = NULL;
    json_object *none = json_object_new_object();
    const char *method = NULL;

    if (wire_get_object(call, "parameters", &parameters) < 0) {
        parameters = none;
    }
    (void)wire_get_string(call, "method", &method);
    if (strcmp(method, SERVICE ".GetInfo") == 0) {
        get_info(connection);
    } else if (strcmp(method, SERVICE ".GetInterfaceDescription") == 0) {
        get_description(connection, parameters);
    } else if (strncmp(method, INTERFACE ".", strlen(INTERFACE ".")) == 0) {
        server->handlers->call(server->data, connection, method + strlen(INTERFACE "."),
                               parameters);
    } else {
        const char *dot = strrchr(method, '.');
        CLEANUP_FREE char *interface =
            strndup(method, dot != NULL ? (size_t)(dot - method) : strlen(method));

        (void)connection_error(connection, SERVICE ".InterfaceNotFound",
                               text_member("interface", interface != NULL ? interface : ""));
    }
    json_object_put(none);
}

static void gone(void *data, struct connection *connection)
{
    struct server *server = data;

    server->handlers->gone(server->data, connection);
}

static void closed(void *data, struct connection *connection)
{
    struct server *server = data;
    struct connection **link = &server->connections;

    while (*link != connection) {
        link = connection_link(*link);
    }
    *link = *connection_link(connection);
    server->n_connections--;
}

static const struct connection_handlers connection_handlers = {
    .call = dispatch,
    .gone = gone,
    .closed = closed,
};

static bool may_call(const struct server *server, int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
        return false;
    }
    return peer.uid == 0 ||
           (server->peers == SERVER_PEERS_ROOT_AND_SELF && peer.uid == geteuid());
}

/* Tells a peer that it gets no connection, if it can be told without waiting. */
static void refuse(int fd, const char *error, json_object *parameters)
{
    json_object *reply = text_member("error", error);
    const char *text;
    size_t size;

    (void)json_object_object_add(reply, "parameters", parameters);
    text = json_object_to_json_string_length(reply, JSON_C_TO_STRING_PLAIN, &size);
    (void)send(fd, text, size + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    json_object_put(reply);
}

static int on_connect(sd_event_source *source, int listener, uint32_t events, void *data)
{
    struct server *server = data;
    struct connection *connection = NULL;
    CLEANUP_CLOSE int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)source;
    (void)events;
    if (fd < 0) {
        return 0;
    }
    if (!may_call(server, fd)) {
        refuse(fd, SERVICE ".PermissionDenied", json_object_new_object());
        return 0;
    }
    if (server->n_connections >= CONNECTIONS_MAX) {
        refuse(fd, INTERFACE ".Busy", text_member("reason", "there are too many connections"));
        return 0;
    }
    if (connection_new(server->event, fd, &connection_handlers, server, &connection) < 0) {
        return 0;
    }
    fd = -1;
    *connection_link(connection) = server->connections;
    server->connections = connection;
    server->n_connections++;
    return 0;
}

int server_new(sd_event *event, int fd, enum server_peers peers,
               const struct server_handlers *handlers, void *data, struct server **ret_server)
{
    struct server *server = calloc(1, sizeof(*server));
    int r;

    if (server == NULL) {
        return -ENOMEM;
    }
    *server = (struct server){
        .event = sd_event_ref(event),
        .fd = fd,
        .peers = peers,
        .handlers = handlers,
        .data = data,
    };
    r = sd_event_add_io(event, &server->io, fd, EPOLLIN, on_connect, server);
    if (r < 0) {
        server->fd = -1;
        (void)server_free(server);
        return r;
    }
    *ret_server = server;
    return 0;
}

struct server *server_free(struct server *server)
{
    if (server != NULL) {
        while (server->connections != NULL) {
            connection_close(server->connections);
        }
        sd_event_source_disable_unref(server->io);
        util_close(server->fd);
        sd_event_unref(server->event);
        free(server);
    }
    return NULL;
}

/* Is there a socket at @address that nobody listens on any more? */
static bool stale(const struct sockaddr_un *address)
{
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
           errno == ECONNREFUSED;
}

int server_listen(const char *path, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask;
    int r;

    if (fd < 0) {
        return -errno;
    }
    if (strlen(path) >= sizeof(address.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (stale(&address)) {
        (void)unlink(path);
    }
    mask = umask(0177);
    r = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    (void)umask(mask);
    if (r < 0) {
        return r;
    }
    if (listen(fd, (int)CONNECTIONS_MAX) < 0) {
        return -errno;
    }
    *ret_fd = fd;
    fd = -1;
    return 0;
}
