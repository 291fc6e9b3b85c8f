/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_wire_client.c: the calling side of wire.h
 *
 * The server is this process too: it has a backlog, and its replies are in the
 * socket before the call is made.
 */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "files.h"
#include "util.h"
#include "wire.h"

#define FAR (now_usec() + 60 * USEC_PER_SEC)
#define PAST 0

struct server {
    char *dir;
    char *path;
    int listener;
    int fd; /* of the one connection */
};

static int arg_listener; /* for the signal handler */

static int setup(void **state)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct server *server = calloc(1, sizeof(*server));

    assert_non_null(server);
    server->dir = files_new();
    server->path = files_path(server->dir, "socket");
    server->fd = -1;
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", server->path);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server->listener, 0), 0);
    *state = server;
    return 0;
}

static int teardown(void **state)
{
    struct server *server = *state;

    server->fd = util_close(server->fd);
    server->listener = util_close(server->listener);
    files_remove(server->dir);
    free(server->path);
    free(server->dir);
    free(server);
    return 0;
}

static struct wire_client connect_to(struct server *server)
{
    struct wire_client client;

    assert_int_equal(wire_connect(server->path, FAR, &client), 0);
    server->fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(server->fd >= 0);
    return client;
}

/* Puts a reply and its NUL byte where the client will find it. */
static void reply(struct server *server, const char *text)
{
    assert_int_equal(send(server->fd, text, strlen(text) + 1, MSG_NOSIGNAL),
                     (ssize_t)strlen(text) + 1);
}

static void expect_request(struct server *server, const char *expected)
{
    char data[256];
    ssize_t n = recv(server->fd, data, sizeof(data), MSG_DONTWAIT);

    assert_int_equal(n, (ssize_t)strlen(expected) + 1);
    assert_string_equal(data, expected);
}

/* Calls, and expects @expected without any output. */
static void expect_call_fails(struct wire_client *client, uint64_t deadline, int expected)
{
    json_object *parameters = NULL;
    char *error = NULL;

    assert_int_equal(wire_call(client, "a.B", NULL, deadline, &error, &parameters), expected);
    assert_null(error);
    assert_null(parameters);
}

static void test_call_brings_the_reply(void **state)
{
    struct server *server = *state;
    struct wire_client client = connect_to(server);
    json_object *call = json_object_new_object();
    json_object *parameters = NULL;
    char *error = NULL;
    uint64_t number = 0;

    reply(server, "{\"parameters\":{\"n\":7}}");
    assert_int_equal(json_object_object_add(call, "x", json_object_new_int(1)), 0);
    assert_int_equal(wire_call(&client, "a.B", call, FAR, &error, &parameters), 0);
    expect_request(server, "{\"method\":\"a.B\",\"parameters\":{\"x\":1}}");
    assert_null(error);
    assert_int_equal(wire_get_uint(parameters, "n", &number), 0);
    assert_int_equal(number, 7);
    json_object_put(parameters);
    wire_client_close(&client);
    wire_client_close(&client);
}

static void test_reply_without_parameters_is_an_empty_object(void **state)
{
    struct server *server = *state;
    struct wire_client client = connect_to(server);
    json_object *parameters = NULL;
    char *error = NULL;

    reply(server, "{}");
    assert_int_equal(wire_call(&client, "a.B", NULL, FAR, &error, &parameters), 0);
    expect_request(server, "{\"method\":\"a.B\"}");
    assert_int_equal(json_object_object_length(parameters), 0);
    json_object_put(parameters);
    wire_client_close(&client);
}

static void test_error_brings_its_name_and_parameters(void **state)
{
    struct server *server = *state;
    struct wire_client client = connect_to(server);
    json_object *parameters = NULL;
    const char *reason = NULL;
    char *error = NULL;

    reply(server, "{\"error\":\"a.Failed\",\"parameters\":{\"reason\":\"x\"}}");
    assert_int_equal(wire_call(&client, "a.B", NULL, FAR, &error, &parameters), -EREMOTEIO);
    assert_string_equal(error, "a.Failed");
    assert_int_equal(wire_get_string(parameters, "reason", &reason), 0);
    assert_string_equal(reason, "x");
    free(error);
    json_object_put(parameters);
    wire_client_close(&client);
}

static void test_rubbish_is_ebadmsg(void **state)
{
    static const char *const table[] = {
        "", "rubbish", "[]", "{\"error\":1}", "{\"parameters\":[]}",
    };
    struct server *server = *state;
    struct wire_client client = connect_to(server);

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        reply(server, table[i]);
        expect_call_fails(&client, FAR, -EBADMSG);
    }
    wire_client_close(&client);
}

static void test_second_reply_is_not_taken_for_the_next(void **state)
{
    struct server *server = *state;
    struct wire_client client = connect_to(server);
    json_object *parameters = NULL;
    char *error = NULL;

    reply(server, "{}");
    reply(server, "{}");
    assert_int_equal(wire_call(&client, "a.B", NULL, FAR, &error, &parameters), 0);
    json_object_put(parameters);
    expect_call_fails(&client, FAR, -EBADMSG);
    wire_client_close(&client);
}

static void test_late_reply_is_etimedout(void **state)
{
    struct wire_client client = connect_to(*state);

    expect_call_fails(&client, PAST, -ETIMEDOUT);
    wire_client_close(&client);
}

static void test_server_that_does_not_read_is_etimedout(void **state)
{
    struct wire_client client = connect_to(*state);
    CLEANUP_FREE char *big = calloc(1, WIRE_FRAME_MAX / 2);
    json_object *parameters = NULL;
    char *error = NULL;
    int r;

    memset(big, 'a', WIRE_FRAME_MAX / 2 - 1);
    for (int i = 0; i < 8; i++) {
        json_object *call = json_object_new_object();

        assert_int_equal(json_object_object_add(call, "x", json_object_new_string(big)), 0);
        r = wire_call(&client, "a.B", call, PAST, &error, &parameters);
        assert_int_equal(r, -ETIMEDOUT);
    }
    wire_client_close(&client);
}

static void test_closed_connection_is_epipe(void **state)
{
    struct server *server = *state;
    struct wire_client client = connect_to(server);

    server->fd = util_close(server->fd);
    expect_call_fails(&client, FAR, -EPIPE);
    wire_client_close(&client);
}

static void test_cut_reply_is_epipe(void **state)
{
    struct server *server = *state;
    struct wire_client client = connect_to(server);

    assert_int_equal(send(server->fd, "{\"par", 5, MSG_NOSIGNAL), 5);
    assert_int_equal(shutdown(server->fd, SHUT_WR), 0);
    expect_call_fails(&client, FAR, -EPIPE);
    wire_client_close(&client);
}

/* A socket's buffer holds less than the longest frame: somebody has to go on sending. */
static pid_t send_from_child(int fd, const char *data, size_t n)
{
    pid_t pid;

    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(send(fd, data, n, MSG_NOSIGNAL) == (ssize_t)n ? 0 : 1);
    }
    return pid;
}

static void test_long_reply_is_emsgsize(void **state)
{
    struct server *server = *state;
    struct wire_client client = connect_to(server);
    CLEANUP_FREE char *big = malloc(WIRE_FRAME_MAX);
    int status = -1;
    pid_t pid;

    memset(big, ' ', WIRE_FRAME_MAX);
    pid = send_from_child(server->fd, big, WIRE_FRAME_MAX);
    expect_call_fails(&client, FAR, -EMSGSIZE);
    wire_client_close(&client);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_long_call_is_emsgsize(void **state)
{
    struct server *server = *state;
    struct wire_client client = connect_to(server);
    CLEANUP_FREE char *big = calloc(1, WIRE_FRAME_MAX);
    json_object *call = json_object_new_object();
    json_object *parameters = NULL;
    char *error = NULL;

    memset(big, 'a', WIRE_FRAME_MAX - 1);
    assert_int_equal(json_object_object_add(call, "x", json_object_new_string(big)), 0);
    assert_int_equal(wire_call(&client, "a.B", call, FAR, &error, &parameters), -EMSGSIZE);
    assert_int_equal(recv(server->fd, big, 1, MSG_DONTWAIT), -1);
    wire_client_close(&client);
}

static void test_wake_fd_ends_the_wait(void **state)
{
    struct wire_client client = connect_to(*state);

    client.wake_fd = eventfd(1, EFD_CLOEXEC);
    assert_true(client.wake_fd >= 0);
    expect_call_fails(&client, FAR, -EINTR);
    client.wake_fd = util_close(client.wake_fd);
    wire_client_close(&client);
}

static void test_absent_server_is_told_at_once(void **state)
{
    struct server *server = *state;
    struct wire_client client = { .fd = -42 };

    server->listener = util_close(server->listener);
    assert_int_equal(wire_connect(server->path, FAR, &client), -ECONNREFUSED);
    assert_int_equal(unlink(server->path), 0);
    assert_int_equal(wire_connect(server->path, FAR, &client), -ENOENT);
    assert_int_equal(client.fd, -42);
}

static void test_long_path_is_refused(void **state)
{
    struct wire_client client = { .fd = -42 };
    char path[200];

    (void)state;
    memset(path, 'a', sizeof(path));
    path[108] = '\0';
    assert_int_equal(wire_connect(path, FAR, &client), -ENAMETOOLONG);
    assert_int_equal(wire_connect("", FAR, &client), -EINVAL);
    assert_int_equal(client.fd, -42);
}

/* Fills the backlog of @server, which nobody accepts from. */
static size_t fill_backlog(struct server *server, struct wire_client *clients, size_t n)
{
    size_t i = 0;

    while (i < n && wire_connect(server->path, PAST, &clients[i]) == 0) {
        i++;
    }
    assert_in_range(i, 1, n - 1);
    return i;
}

static void test_full_backlog_is_etimedout(void **state)
{
    struct wire_client clients[8];
    struct wire_client late = { .fd = -42 };
    size_t n = fill_backlog(*state, clients, ARRAY_SIZE(clients));

    assert_int_equal(wire_connect(((struct server *)*state)->path, PAST, &late), -ETIMEDOUT);
    assert_int_equal(late.fd, -42);
    while (n > 0) {
        wire_client_close(&clients[--n]);
    }
}

static void accept_one(int signal_number)
{
    int saved = errno;
    int fd = accept(arg_listener, NULL, NULL);

    (void)signal_number;
    if (fd >= 0) {
        (void)close(fd);
    }
    errno = saved;
}

static void test_full_backlog_is_tried_again(void **state)
{
    const struct sigaction action = { .sa_handler = accept_one };
    const struct itimerval soon = { .it_value = { .tv_usec = 20000 } };
    struct server *server = *state;
    struct wire_client clients[8];
    struct wire_client late;
    size_t n = fill_backlog(server, clients, ARRAY_SIZE(clients));

    arg_listener = server->listener;
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    assert_int_equal(wire_connect(server->path, FAR, &late), 0);
    wire_client_close(&late);
    while (n > 0) {
        wire_client_close(&clients[--n]);
    }
}

static void test_finish_waits_for_the_end(void **state)
{
    struct server *server = *state;
    struct wire_client client = connect_to(server);
    char byte;

    assert_int_equal(wire_finish(&client, PAST), -ETIMEDOUT);
    assert_int_equal(recv(server->fd, &byte, 1, MSG_DONTWAIT), 0);
    server->fd = util_close(server->fd);
    assert_int_equal(wire_finish(&client, PAST), 0);
    wire_client_close(&client);
}

static void test_finish_takes_no_message(void **state)
{
    struct server *server = *state;
    struct wire_client client = connect_to(server);

    reply(server, "{}");
    assert_int_equal(wire_finish(&client, FAR), -EBADMSG);
    wire_client_close(&client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_call_brings_the_reply),
        TEST(test_reply_without_parameters_is_an_empty_object),
        TEST(test_error_brings_its_name_and_parameters),
        TEST(test_rubbish_is_ebadmsg),
        TEST(test_second_reply_is_not_taken_for_the_next),
        TEST(test_late_reply_is_etimedout),
        TEST(test_server_that_does_not_read_is_etimedout),
        TEST(test_closed_connection_is_epipe),
        TEST(test_cut_reply_is_epipe),
        TEST(test_long_reply_is_emsgsize),
        TEST(test_long_call_is_emsgsize),
        TEST(test_wake_fd_ends_the_wait),
        TEST(test_absent_server_is_told_at_once),
        TEST(test_long_path_is_refused),
        TEST(test_full_backlog_is_etimedout),
        TEST(test_full_backlog_is_tried_again),
        TEST(test_finish_waits_for_the_end),
        TEST(test_finish_takes_no_message),
    };

    return cmocka_run_group_tests_name("wire_client", tests, NULL, NULL);
}
