/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.c: the one file that knows the client library
 *
 * The library writes to its socket with MSG_NOSIGNAL (libmariadb), or relies on
 * SIGPIPE being ignored (libmysqlclient): the worker ignores it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <mysql.h>

#include "client.h"

/* These say that the session is gone, though it is the server that speaks. */
#define E_SERVER_SHUTDOWN 1053u
#define E_CONNECTION_KILLED 1927u   /* MariaDB, to a statement */
#define E_INTERACTION_TIMEOUT 4031u /* MySQL, when wait_timeout has passed */
/* The library's own errors: after one of them the session is of no use. */
#define E_LIBRARY_FIRST 2000u
#define E_LIBRARY_LAST 2999u

struct client {
    const struct quiesced_host *host;
    MYSQL *mysql; /* NULL: not connected */
    int fd;
    bool busy;
    unsigned int code;
    char error[512];
};

struct client_rows {
    MYSQL_RES *result; /* NULL: a statement without a result */
};

int client_create(const struct quiesced_host *host, struct client **ret)
{
    struct client *client = calloc(1, sizeof(*client));

    if (client == NULL) {
        return -ENOMEM;
    }
    client->host = host;
    client->fd = -1;
    *ret = client;
    return 0;
}

struct client *client_free(struct client *client)
{
    if (client != NULL) {
        client_close(client);
        free(client);
    }
    return NULL;
}

static void client_clear_error(struct client *client)
{
    client->code = 0;
    client->error[0] = '\0';
}

static void client_set_error(struct client *client, unsigned int code, const char *text)
{
    client->code = code;
    (void)snprintf(client->error, sizeof(client->error), "%s (%u)", text, code);
}

static int client_fail(struct client *client, int r, const char *text)
{
    client->code = 0;
    (void)snprintf(client->error, sizeof(client->error), "%s", text);
    return r;
}

/* Why the session became of no use is still the reason. */
static int client_fail_still(struct client *client, int r, const char *text)
{
    return client->error[0] != '\0' ? r : client_fail(client, r, text);
}

static int client_socket(MYSQL *mysql)
{
#ifdef MARIADB_PACKAGE_VERSION
    return (int)mysql_get_socket(mysql);
#else
    return (int)mysql->net.fd;
#endif
}

/* Whatever else there is: no option file is read unless it is asked for, and
 * nothing is asked for here. */
static bool set_option(MYSQL *mysql, enum mysql_option option, const void *value)
{
    return mysql_options(mysql, option, value) == 0;
}

/* Said in any case: libmariadb's default differs from version to version. */
static bool set_tls(MYSQL *mysql, const struct client_target *target)
{
#ifdef MARIADB_PACKAGE_VERSION
    const my_bool on = target->tls != CLIENT_TLS_OFF;
    const my_bool verify = target->tls == CLIENT_TLS_VERIFY;
    bool ok = set_option(mysql, MYSQL_OPT_SSL_ENFORCE, &on) &&
              set_option(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
#else
    static const unsigned int modes[] = {
        [CLIENT_TLS_OFF] = SSL_MODE_DISABLED,
        [CLIENT_TLS_ENCRYPT] = SSL_MODE_REQUIRED,
        [CLIENT_TLS_VERIFY] = SSL_MODE_VERIFY_IDENTITY,
    };
    bool ok = set_option(mysql, MYSQL_OPT_SSL_MODE, &modes[target->tls]);
#endif

    return ok && (target->tls_ca == NULL || set_option(mysql, MYSQL_OPT_SSL_CA, target->tls_ca)) &&
           (target->tls_cert == NULL || set_option(mysql, MYSQL_OPT_SSL_CERT, target->tls_cert)) &&
           (target->tls_key == NULL || set_option(mysql, MYSQL_OPT_SSL_KEY, target->tls_key));
}

static int client_set_options(MYSQL *mysql, const struct client_target *target,
                              unsigned int seconds)
{
    const unsigned int no_files = 0;
    /* "localhost" would be the socket to the library, whatever the port. */
    const unsigned int protocol =
        target->socket != NULL ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;

    if (!set_option(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds) ||
        !set_option(mysql, MYSQL_OPT_READ_TIMEOUT, &seconds) ||
        !set_option(mysql, MYSQL_OPT_WRITE_TIMEOUT, &seconds) ||
        !set_option(mysql, MYSQL_OPT_PROTOCOL, &protocol) ||
        !set_option(mysql, MYSQL_OPT_LOCAL_INFILE, &no_files) ||
        !set_option(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4") || !set_tls(mysql, target)) {
        return -EINVAL;
    }
#ifdef MARIADB_PACKAGE_VERSION
    /*
     * A session that came back would come back without its lock. Off by default
     * in both libraries; Oracle's says on stderr that it is deprecated to ask.
     *
     * The methods of authentication are those that do not show the password to
     * whoever answers at that address: libmariadb would hand it out in clear to
     * a server that asks for mysql_clear_password. Oracle's library does so on
     * request only.
     */
    const my_bool off = 0;

    if (!set_option(mysql, MYSQL_OPT_RECONNECT, &off) ||
        !set_option(mysql, MARIADB_OPT_RESTRICTED_AUTH,
                    "mysql_native_password,client_ed25519,parsec,"
                    "caching_sha2_password,sha256_password")) {
        return -EINVAL;
    }
#endif
    return 0;
}

int client_connect(struct client *client, const struct client_target *target, uint64_t deadline)
{
    uint32_t left = client->host->left_ms(client->host, deadline);
    MYSQL *mysql;

    client_clear_error(client);
    if (left == 0) {
        return client_fail(client, -ETIMEDOUT, "no time is left");
    }
    mysql = mysql_init(NULL);
    if (mysql == NULL) {
        return client_fail(client, -ENOMEM, strerror(ENOMEM));
    }
    if (client_set_options(mysql, target, (left + 999u) / 1000u) < 0) {
        mysql_close(mysql);
        return client_fail(client, -EINVAL, "the client library refused an option");
    }
    if (mysql_real_connect(mysql, target->socket != NULL ? NULL : target->host, target->user,
                           target->password, NULL, target->socket != NULL ? 0 : target->port,
                           target->socket, 0) == NULL) {
        client_set_error(client, mysql_errno(mysql), mysql_error(mysql));
        mysql_close(mysql);
        return -EREMOTEIO;
    }
    if (target->tls != CLIENT_TLS_OFF && mysql_get_ssl_cipher(mysql) == NULL) {
        mysql_close(mysql);
        return client_fail(client, -EPROTO, "the connection is not encrypted");
    }
    client->mysql = mysql;
    client->fd = client_socket(mysql);
    client->busy = false;
    /* A copy of the socket in another process would keep the lock. */
    if (fcntl(client->fd, F_SETFD, FD_CLOEXEC) < 0) {
        int r = -errno;

        client_close(client);
        return client_fail(client, r, strerror(-r));
    }
    return 0;
}

static bool client_code_is_loss(unsigned int code)
{
    return (code >= E_LIBRARY_FIRST && code <= E_LIBRARY_LAST) || code == E_SERVER_SHUTDOWN ||
           code == E_CONNECTION_KILLED || code == E_INTERACTION_TIMEOUT;
}

/* A lost session is closed at once: the library has closed the socket already, and
 * its number may soon be another file's. */
static int client_take_error(struct client *client)
{
    client_set_error(client, mysql_errno(client->mysql), mysql_error(client->mysql));
    if (client_code_is_loss(client->code)) {
        client->busy = false;
        client_close(client);
        return -ENOTCONN;
    }
    return -EREMOTEIO;
}

/* Until the answer is there, or its end of file: reading tells which. */
static int client_await(struct client *client, enum client_wait wait, uint64_t deadline)
{
    const struct quiesced_host *host = client->host;
    struct pollfd fds[2] = {
        { .fd = client->fd, .events = POLLIN },
        { .fd = wait == CLIENT_CANCELLABLE ? host->cancel_fd(host) : -1, .events = POLLIN },
    };

    for (;;) {
        uint32_t left = host->left_ms(host, deadline);
        int n = poll(fds, 2, left > INT_MAX ? INT_MAX : (int)left);

        if (n < 0 && errno != EINTR) {
            int r = -errno;

            return client_fail(client, r, strerror(-r));
        }
        if (n > 0 && fds[0].revents != 0) {
            return 0;
        }
        if (n > 0) {
            return client_fail(client, -ECANCELED, "cancelled");
        }
        if (n == 0 && host->left_ms(host, deadline) == 0) {
            return client_fail(client, -ETIMEDOUT, "no answer in time");
        }
    }
}

static int client_read(struct client *client, struct client_rows **ret_rows)
{
    struct client_rows *rows;
    MYSQL_RES *result;

    if (mysql_read_query_result(client->mysql) != 0) {
        return client_take_error(client);
    }
    result = mysql_store_result(client->mysql);
    if (result == NULL && mysql_errno(client->mysql) != 0) {
        return client_take_error(client);
    }
    if (ret_rows == NULL) {
        if (result != NULL) {
            mysql_free_result(result);
        }
        return 0;
    }
    rows = calloc(1, sizeof(*rows));
    if (rows == NULL) {
        if (result != NULL) {
            mysql_free_result(result);
        }
        return client_fail(client, -ENOMEM, strerror(ENOMEM));
    }
    rows->result = result;
    *ret_rows = rows;
    return 0;
}

int client_query(struct client *client, const char *sql, enum client_wait wait, uint64_t deadline,
                 struct client_rows **ret_rows)
{
    int r;

    if (client->mysql == NULL) {
        return client_fail_still(client, -ENOTCONN, "not connected");
    }
    if (client->busy) {
        return client_fail_still(client, -EBUSY, "an earlier answer has not come");
    }
    client_clear_error(client);
    client->busy = true;
    if (mysql_send_query(client->mysql, sql, (unsigned long)strlen(sql)) != 0) {
        return client_take_error(client);
    }
    r = client_await(client, wait, deadline);
    if (r < 0) {
        return r;
    }
    r = client_read(client, ret_rows);
    client->busy = false;
    return r;
}

void client_close(struct client *client)
{
    if (client->mysql == NULL) {
        return;
    }
    /*
     * shutdown(2) reaches the server even if somebody has a copy of the socket.
     * The library's own farewell is of use between statements only, and it does
     * not wait for an answer.
     */
    if (client->busy) {
        (void)shutdown(client->fd, SHUT_RDWR);
    }
    mysql_close(client->mysql);
    client->mysql = NULL;
    client->fd = -1;
    client->busy = false;
}

bool client_is_open(const struct client *client)
{
    return client != NULL && client->mysql != NULL;
}

bool client_is_busy(const struct client *client)
{
    return client != NULL && client->busy;
}

int client_fd(const struct client *client)
{
    return client != NULL ? client->fd : -1;
}

unsigned int client_code(const struct client *client)
{
    return client->code;
}

const char *client_error(const struct client *client)
{
    return client->error;
}

const char *const *client_rows_next(struct client_rows *rows)
{
    return rows->result != NULL ? (const char *const *)mysql_fetch_row(rows->result) : NULL;
}

unsigned int client_rows_width(const struct client_rows *rows)
{
    return rows->result != NULL ? mysql_num_fields(rows->result) : 0;
}

int client_rows_column(const struct client_rows *rows, const char *name)
{
    for (unsigned int i = 0; i < client_rows_width(rows); i++) {
        if (strcasecmp(mysql_fetch_field_direct(rows->result, i)->name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

struct client_rows *client_rows_free(struct client_rows *rows)
{
    if (rows != NULL) {
        if (rows->result != NULL) {
            mysql_free_result(rows->result);
        }
        free(rows);
    }
    return NULL;
}
