/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "fake_libpq.h"
#include "fake_libpq_result.h"

#define STEPS 64
#define PARAMS 64

enum call {
    CALL_CONNECT,
    CALL_QUERY,
    CALL_CANCEL,
    CALL_CLOSE
};

enum outcome {
    OUTCOME_ANSWER,
    OUTCOME_ERROR,
    OUTCOME_LOST,
    OUTCOME_UNSENT,
    OUTCOME_SILENCE
};

struct step {
    enum call call;
    enum outcome outcome;
    const char *expected; /* "" for a close */
    const char *rows;
    const char *state;
    const char *text;
    void (*then)(void);
};

struct pg_conn {
    int near; /* the socket of the code under test */
    int far;
    ConnStatusType status;
    bool nonblocking;
    const struct step *step; /* of the statement that was sent and not answered yet */
    bool read;               /* the answer was read, */
    bool given;              /* and handed out */
    const char *text;
};

struct pg_cancel {
    int unused;
};

static struct {
    struct step steps[STEPS];
    size_t expected;
    size_t made;
    unsigned int open; /* sessions and requests to cancel */
    int version;
    int pid;
    char *keys[PARAMS];
    char *values[PARAMS];
} fake;

static const char *const call_names[] = { "connect", "query", "cancel", "close" };

static void forget_params(void)
{
    for (size_t i = 0; i < PARAMS; i++) {
        free(fake.keys[i]);
        free(fake.values[i]);
        fake.keys[i] = NULL;
        fake.values[i] = NULL;
    }
}

void fake_begin(void)
{
    memset(&fake, 0, sizeof(fake));
    fake_server(150018, 4711);
}

void fake_end(void)
{
    forget_params();
    if (fake.made < fake.expected) {
        const struct step *step = &fake.steps[fake.made];

        fail_msg("not called: %s '%s'", call_names[step->call], step->expected);
    }
    assert_int_equal(fake.open, 0);
    assert_int_equal(fake_results_open(), 0);
}

void fake_server(int version, int pid)
{
    fake.version = version;
    fake.pid = pid;
}

static void fake_expect(struct step step)
{
    assert_true(fake.expected < STEPS);
    fake.steps[fake.expected++] = step;
}

void fake_connect(const char *who)
{
    fake_expect((struct step){ .call = CALL_CONNECT, .expected = who });
}

void fake_connect_fails(const char *who, const char *text)
{
    fake_expect((struct step){
        .call = CALL_CONNECT, .outcome = OUTCOME_ERROR, .expected = who, .text = text });
}

void fake_connect_silent(const char *who)
{
    fake_expect((struct step){ .call = CALL_CONNECT, .outcome = OUTCOME_SILENCE, .expected = who });
}

static void expect_query(const char *sql, enum outcome outcome, const char *state, const char *text)
{
    fake_expect((struct step){ CALL_QUERY, outcome, sql, NULL, state, text, NULL });
}

void fake_query(const char *sql, const char *rows)
{
    expect_query(sql, OUTCOME_ANSWER, NULL, NULL);
    fake.steps[fake.expected - 1].rows = rows;
}

void fake_query_fails(const char *sql, const char *state, const char *text)
{
    expect_query(sql, OUTCOME_ERROR, state, text);
}

void fake_query_lost(const char *sql, const char *text)
{
    expect_query(sql, OUTCOME_LOST, NULL, text);
}

void fake_query_unsent(const char *sql, const char *text)
{
    expect_query(sql, OUTCOME_UNSENT, NULL, text);
}

void fake_query_silent(const char *sql)
{
    expect_query(sql, OUTCOME_SILENCE, NULL, NULL);
}

void fake_cancel(void)
{
    fake_expect((struct step){ .call = CALL_CANCEL, .expected = "" });
}

void fake_close(void)
{
    fake_expect((struct step){ .call = CALL_CLOSE, .expected = "" });
}

void fake_then(void (*call)(void))
{
    assert_true(fake.expected > 0);
    fake.steps[fake.expected - 1].then = call;
}

static bool is_expected(const char *expected, const char *what)
{
    size_t n = strlen(expected);

    return n > 0 && expected[n - 1] == '*' ? strncmp(expected, what, n - 1) == 0
                                           : strcmp(expected, what) == 0;
}

static const struct step *fake_call(enum call call, const char *what)
{
    const struct step *step = &fake.steps[fake.made];

    if (fake.made == fake.expected || step->call != call || !is_expected(step->expected, what)) {
        fail_msg("%s '%s', and expected was %s '%s'", call_names[call], what,
                 fake.made == fake.expected ? "nothing, not even" : call_names[step->call],
                 fake.made == fake.expected ? "" : step->expected);
    }
    fake.made++;
    if (step->then != NULL) {
        step->then();
    }
    return step;
}

const char *fake_param(const char *key)
{
    for (size_t i = 0; i < PARAMS && fake.keys[i] != NULL; i++) {
        if (strcmp(fake.keys[i], key) == 0) {
            return fake.values[i];
        }
    }
    return NULL;
}

static const char *param_text(const char *key)
{
    const char *value = fake_param(key);

    return value != NULL ? value : "";
}

PGconn *PQconnectStartParams(const char *const *keys, const char *const *values, int expand_dbname)
{
    static const char *const files[] = { "passfile", "sslcert", "sslkey", "sslrootcert", "sslcrl" };
    PGconn *conn = calloc(1, sizeof(*conn));
    const struct step *step;
    char who[256];
    int fds[2];

    assert_non_null(conn);
    assert_int_equal(expand_dbname, 0);
    forget_params();
    for (size_t i = 0; keys[i] != NULL; i++) {
        assert_true(i < PARAMS);
        fake.keys[i] = strdup(keys[i]);
        fake.values[i] = strdup(values[i]);
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        assert_non_null(fake_param(files[i]));
    }
    assert_null(fake_param("service"));
    (void)snprintf(who, sizeof(who), "%s%s%s@%s:%s/%s", param_text("user"),
                   fake_param("password") != NULL ? ":" : "", param_text("password"),
                   param_text(fake_param("hostaddr") != NULL ? "hostaddr" : "host"),
                   param_text("port"), param_text("dbname"));
    fake.open++;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    conn->near = fds[0];
    conn->far = fds[1];
    step = fake_call(CALL_CONNECT, who);
    conn->step = step;
    conn->text = step->text;
    conn->status = step->outcome == OUTCOME_ERROR ? CONNECTION_BAD : CONNECTION_STARTED;
    return conn;
}

PostgresPollingStatusType PQconnectPoll(PGconn *conn)
{
    if (conn->step->outcome == OUTCOME_SILENCE) {
        return PGRES_POLLING_READING;
    }
    conn->step = NULL;
    conn->status = CONNECTION_OK;
    return PGRES_POLLING_OK;
}

ConnStatusType PQstatus(const PGconn *conn)
{
    return conn->status;
}

char *PQerrorMessage(const PGconn *conn)
{
    return (char *)(uintptr_t)(conn->text != NULL ? conn->text : "");
}

int PQsocket(const PGconn *conn)
{
    return conn->near;
}

int PQserverVersion(const PGconn *conn)
{
    (void)conn;
    return fake.version;
}

int PQbackendPID(const PGconn *conn)
{
    (void)conn;
    return fake.pid;
}

PQnoticeProcessor PQsetNoticeProcessor(PGconn *conn, PQnoticeProcessor processor, void *data)
{
    assert_non_null(processor);
    processor(data, "a notice that nobody prints");
    (void)conn;
    return NULL;
}

int PQsetnonblocking(PGconn *conn, int nonblocking)
{
    conn->nonblocking = nonblocking == 1;
    return 0;
}

void PQfinish(PGconn *conn)
{
    (void)fake_call(CALL_CLOSE, "");
    (void)close(conn->near);
    (void)close(conn->far);
    free(conn);
    fake.open--;
}

int PQsendQuery(PGconn *conn, const char *sql)
{
    assert_true(conn->nonblocking);
    assert_null(conn->step);
    conn->step = fake_call(CALL_QUERY, sql);
    conn->read = false;
    conn->given = false;
    conn->text = conn->step->text;
    if (conn->step->outcome == OUTCOME_UNSENT) {
        conn->status = CONNECTION_BAD;
        return 0;
    }
    if (conn->step->outcome != OUTCOME_SILENCE) {
        assert_int_equal(write(conn->far, "!", 1), 1);
    }
    return 1;
}

int PQflush(PGconn *conn)
{
    (void)conn;
    return 0;
}

int PQconsumeInput(PGconn *conn)
{
    char answer;

    /* not before it is there */
    assert_int_equal(recv(conn->near, &answer, 1, MSG_DONTWAIT), 1);
    if (conn->step->outcome == OUTCOME_LOST && (conn->read || conn->text == NULL)) {
        conn->status = CONNECTION_BAD;
        conn->text = "server closed the connection unexpectedly\n\tThis probably means ...\n";
        return 0;
    }
    conn->read = true;
    if (conn->step->outcome == OUTCOME_LOST) {
        assert_int_equal(write(conn->far, "!", 1), 1);
    }
    return 1;
}

int PQisBusy(PGconn *conn)
{
    return !conn->read || (conn->given && conn->step->outcome == OUTCOME_LOST);
}

PGresult *PQgetResult(PGconn *conn)
{
    const struct step *step = conn->step;

    if (conn->given) {
        conn->step = NULL;
        return NULL;
    }
    conn->given = true;
    return fake_result_new(step->outcome == OUTCOME_ANSWER, step->rows, step->state, step->text);
}

#ifdef LIBPQ_HAS_ASYNC_CANCEL
struct pg_cancel_conn {
    int unused;
};

PGcancelConn *PQcancelCreate(PGconn *conn)
{
    (void)conn;
    fake.open++;
    return calloc(1, sizeof(PGcancelConn));
}

int PQcancelStart(PGcancelConn *cancel)
{
    (void)cancel;
    (void)fake_call(CALL_CANCEL, "");
    return 0;
}

PostgresPollingStatusType PQcancelPoll(PGcancelConn *cancel)
{
    (void)cancel;
    return PGRES_POLLING_OK;
}

int PQcancelSocket(const PGcancelConn *cancel)
{
    (void)cancel;
    return -1;
}

void PQcancelFinish(PGcancelConn *cancel)
{
    free(cancel);
    fake.open--;
}
#else
PGcancel *PQgetCancel(PGconn *conn)
{
    (void)conn;
    fake.open++;
    return calloc(1, sizeof(PGcancel));
}

int PQcancel(PGcancel *cancel, char *error, int size)
{
    (void)cancel;
    (void)error;
    (void)size;
    (void)fake_call(CALL_CANCEL, "");
    return 1;
}

void PQfreeCancel(PGcancel *cancel)
{
    free(cancel);
    fake.open--;
}
#endif
