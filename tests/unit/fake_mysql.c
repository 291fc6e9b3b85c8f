/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mysql.h>

#include "fake_mysql.h"

#define STEPS 64
#define SESSIONS 8
#define COLUMNS 16

#ifdef MARIADB_PACKAGE_VERSION
typedef my_bool fake_bool;
#else
typedef bool fake_bool;
#endif

enum call {
    CALL_CONNECT,
    CALL_QUERY,
    CALL_CLOSE
};

struct step {
    enum call call;
    unsigned int session;
    const char *expected; /* NULL for a close */
    const char *rows;
    unsigned int code;
    const char *text;
    bool silent;
    void (*then)(void);
};

struct session {
    MYSQL mysql; /* first: this is what the code under test has */
    unsigned int number;
    int near; /* the socket of the code under test */
    int far;
    unsigned int timeouts;
    bool local_infile_off;
    unsigned int tls; /* 0: off, 1: encrypts, 2: verifies */
    char tls_files[96];
    const struct step *step; /* of the statement that was sent */
    unsigned int code;
    const char *text;
};

struct result {
    char *text;
    char *names;       /* of the columns, or NULL */
    MYSQL_FIELD field; /* the one that was asked for last */
    char *next;        /* NULL: no row is left */
    unsigned int width;
    char *row[COLUMNS];
};

static struct {
    struct step steps[STEPS];
    size_t expected;
    size_t made;
    unsigned int sessions; /* ever opened */
    unsigned int open;
    unsigned int results;
} fake;

static const char *const tls_words[] = { "", " encrypted", " verified" };
static const char *const call_names[] = { "connect", "query", "close" };

void fake_begin(void)
{
    memset(&fake, 0, sizeof(fake));
}

void fake_end(void)
{
    if (fake.made < fake.expected) {
        const struct step *step = &fake.steps[fake.made];

        fail_msg("not called: %s of session %u, '%s'", call_names[step->call], step->session,
                 step->expected != NULL ? step->expected : "");
    }
    assert_int_equal(fake.open, 0);
    assert_int_equal(fake.results, 0);
}

static struct step *fake_expect(struct step step)
{
    assert_true(fake.expected < STEPS);
    fake.steps[fake.expected] = step;
    return &fake.steps[fake.expected++];
}

void fake_connect(unsigned int session, const char *who)
{
    (void)fake_expect((struct step){ .call = CALL_CONNECT, .session = session, .expected = who });
}

void fake_connect_fails(unsigned int session, const char *who, unsigned int code, const char *text)
{
    (void)fake_expect((struct step){
        .call = CALL_CONNECT, .session = session, .expected = who, .code = code, .text = text });
}

void fake_query(unsigned int session, const char *sql, const char *rows)
{
    (void)fake_expect(
        (struct step){ .call = CALL_QUERY, .session = session, .expected = sql, .rows = rows });
}

void fake_query_fails(unsigned int session, const char *sql, unsigned int code, const char *text)
{
    (void)fake_expect((struct step){
        .call = CALL_QUERY, .session = session, .expected = sql, .code = code, .text = text });
}

void fake_query_silent(unsigned int session, const char *sql)
{
    (void)fake_expect(
        (struct step){ .call = CALL_QUERY, .session = session, .expected = sql, .silent = true });
}

void fake_close(unsigned int session)
{
    (void)fake_expect((struct step){ .call = CALL_CLOSE, .session = session });
}

void fake_then(void (*call)(void))
{
    assert_true(fake.expected > 0);
    fake.steps[fake.expected - 1].then = call;
}

static const struct step *fake_call(enum call call, const struct session *session, const char *what)
{
    const struct step *step = &fake.steps[fake.made];

    if (fake.made == fake.expected || step->call != call || step->session != session->number ||
        (step->expected != NULL && strcmp(step->expected, what) != 0)) {
        fail_msg("%s of session %u, '%s', and expected was %s of session %u, '%s'",
                 call_names[call], session->number, what,
                 fake.made == fake.expected ? "nothing, not even" : call_names[step->call],
                 step->session, step->expected != NULL ? step->expected : "");
    }
    fake.made++;
    if (step->then != NULL) {
        step->then();
    }
    return step;
}

static struct session *session_of(MYSQL *mysql)
{
    return (struct session *)(void *)mysql;
}

static void session_fail(struct session *session, unsigned int code, const char *text)
{
    session->code = code;
    session->text = text;
}

MYSQL *STDCALL mysql_init(MYSQL *mysql)
{
    struct session *session = calloc(1, sizeof(*session));

    assert_null(mysql);
    assert_non_null(session);
    session->number = ++fake.sessions;
    session->near = -1;
    session->far = -1;
    fake.open++;
    return &session->mysql;
}

int STDCALL mysql_options(MYSQL *mysql, enum mysql_option option, const void *value)
{
    struct session *session = session_of(mysql);

    assert_int_not_equal(option, MYSQL_READ_DEFAULT_FILE);
    assert_int_not_equal(option, MYSQL_READ_DEFAULT_GROUP);
    if (option == MYSQL_OPT_LOCAL_INFILE) {
        session->local_infile_off = *(const unsigned int *)value == 0;
    }
#ifdef MARIADB_PACKAGE_VERSION
    if (option == MYSQL_OPT_SSL_ENFORCE || option == MYSQL_OPT_SSL_VERIFY_SERVER_CERT) {
        session->tls += *(const fake_bool *)value != 0;
    }
#else
    if (option == MYSQL_OPT_SSL_MODE) {
        unsigned int mode = *(const unsigned int *)value;

        session->tls = mode == SSL_MODE_DISABLED ? 0 : mode == SSL_MODE_REQUIRED ? 1 : 2;
    }
#endif
    if (option == MYSQL_OPT_SSL_CA || option == MYSQL_OPT_SSL_CERT || option == MYSQL_OPT_SSL_KEY) {
        size_t used = strlen(session->tls_files);

        (void)snprintf(session->tls_files + used, sizeof(session->tls_files) - used, "+%s",
                       (const char *)value);
    }
    if (option == MYSQL_OPT_RECONNECT) {
        assert_false(*(const bool *)value);
    }
    if (option == MYSQL_OPT_CONNECT_TIMEOUT || option == MYSQL_OPT_READ_TIMEOUT ||
        option == MYSQL_OPT_WRITE_TIMEOUT) {
        assert_true(*(const unsigned int *)value > 0);
        session->timeouts++;
    }
    return 0;
}

MYSQL *STDCALL mysql_real_connect(MYSQL *mysql, const char *host, const char *user,
                                  const char *password, const char *db, unsigned int port,
                                  const char *path, unsigned long flags)
{
    struct session *session = session_of(mysql);
    const struct step *step;
    char where[128];
    char who[320];
    int fds[2];

    assert_null(db);
    assert_int_equal(flags, 0);
    assert_true(session->local_infile_off);
    assert_int_equal(session->timeouts, 3);
    if (path != NULL) {
        assert_null(host);
        (void)snprintf(where, sizeof(where), "%s", path);
    } else {
        (void)snprintf(where, sizeof(where), "%s:%u", host, port);
    }
    (void)snprintf(who, sizeof(who), "%s%s%s@%s%s%s", user, password != NULL ? ":" : "",
                   password != NULL ? password : "", where, tls_words[session->tls],
                   session->tls_files);
    step = fake_call(CALL_CONNECT, session, who);
    session_fail(session, step->code, step->text);
    if (step->code != 0) {
        return NULL;
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    session->near = fds[0];
    session->far = fds[1];
#ifndef MARIADB_PACKAGE_VERSION
    mysql->net.fd = session->near;
#endif
    return mysql;
}

#ifdef MARIADB_PACKAGE_VERSION
my_socket STDCALL mysql_get_socket(MYSQL *mysql)
{
    return session_of(mysql)->near;
}
#endif

void STDCALL mysql_close(MYSQL *mysql)
{
    struct session *session = session_of(mysql);

    (void)fake_call(CALL_CLOSE, session, "");
    if (session->near >= 0) {
        (void)close(session->near);
        (void)close(session->far);
    }
    fake.open--;
    free(session);
}

unsigned int STDCALL mysql_errno(MYSQL *mysql)
{
    return session_of(mysql)->code;
}

const char *STDCALL mysql_error(MYSQL *mysql)
{
    const struct session *session = session_of(mysql);

    return session->text != NULL ? session->text : "";
}

int STDCALL mysql_send_query(MYSQL *mysql, const char *sql, unsigned long length)
{
    struct session *session = session_of(mysql);

    assert_int_equal(length, strlen(sql));
    assert_null(session->step);
    assert_true((fcntl(session->near, F_GETFD) & FD_CLOEXEC) != 0);
    session->step = fake_call(CALL_QUERY, session, sql);
    session_fail(session, 0, NULL);
    if (session->step->code == 2006) {
        session_fail(session, session->step->code, session->step->text);
        return 1;
    }
    if (!session->step->silent) {
        assert_int_equal(write(session->far, "!", 1), 1);
    }
    return 0;
}

fake_bool STDCALL mysql_read_query_result(MYSQL *mysql)
{
    struct session *session = session_of(mysql);
    char answer;

    /* not before it is there: it would block */
    assert_int_equal(recv(session->near, &answer, 1, MSG_DONTWAIT), 1);
    assert_non_null(session->step);
    session_fail(session, session->step->code, session->step->text);
    if (session->step->code != 0) {
        session->step = NULL;
        return 1;
    }
    return 0;
}

MYSQL_RES *STDCALL mysql_store_result(MYSQL *mysql)
{
    struct session *session = session_of(mysql);
    const struct step *step = session->step;
    struct result *result;

    session->step = NULL;
    if (step->rows == NULL) {
        return NULL;
    }
    result = calloc(1, sizeof(*result));
    assert_non_null(result);
    result->text = strdup(step->rows);
    assert_non_null(result->text);
    result->next = result->text[0] != '\0' ? result->text : NULL;
    if (result->text[0] == '#') {
        result->names = strsep(&result->next, "\n") + 1;
    }
    result->width = 1;
    for (const char *c = result->text; *c != '\0' && *c != '\n'; c++) {
        result->width += *c == '|';
    }
    fake.results++;
    return (MYSQL_RES *)(void *)result;
}

MYSQL_ROW STDCALL mysql_fetch_row(MYSQL_RES *rows)
{
    struct result *result = (struct result *)(void *)rows;
    char *line = result->next;

    if (line == NULL) {
        return NULL;
    }
    result->next = strchr(line, '\n');
    if (result->next != NULL) {
        *result->next++ = '\0';
    }
    assert_true(result->width <= COLUMNS);
    for (unsigned int i = 0; i < result->width; i++) {
        char *column = strsep(&line, "|");

        assert_non_null(column);
        result->row[i] = strcmp(column, "NULL") == 0 ? NULL : column;
    }
    return result->row;
}

unsigned int STDCALL mysql_num_fields(MYSQL_RES *rows)
{
    return ((struct result *)(void *)rows)->width;
}

MYSQL_FIELD *STDCALL mysql_fetch_field_direct(MYSQL_RES *rows, unsigned int number)
{
    struct result *result = (struct result *)(void *)rows;
    const char *name = result->names;
    static char text[64];

    assert_non_null(name);
    while (number-- > 0) {
        name = strchr(name, '|') + 1;
    }
    (void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(name, "|"), name);
    result->field.name = text;
    return &result->field;
}

const char *STDCALL mysql_get_ssl_cipher(MYSQL *mysql)
{
    return session_of(mysql)->tls != 0 ? "TLS_AES_256_GCM_SHA384" : NULL;
}

void STDCALL mysql_free_result(MYSQL_RES *rows)
{
    struct result *result = (struct result *)(void *)rows;

    fake.results--;
    free(result->text);
    free(result);
}
