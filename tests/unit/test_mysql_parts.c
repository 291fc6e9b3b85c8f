/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_mysql_parts.c: what the mysql plugin makes of options, versions, grants and lists */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fake_mysql.h"
#include "mysql_bench.h"
#include "rights.h"
#include "server.h"
#include "util.h"

static void test_bad_options(void **state)
{
    static const struct {
        const char *key;
        const char *value;
        const char *error;
    } table[] = {
        { "port", "abc", "port = 'abc' is not a number from 1 to 65535" },
        { "port", "", "port = ''" },
        { "port", "0", "port = '0'" },
        { "port", "-1", "port = '-1'" },
        { "port", "3306 ", "port = '3306 '" },
        { "port", "65536", "port = '65536'" },
        { "port", "99999999999999999999", "port = '99999999999999999999'" },
        { "remote", "maybe", "remote = 'maybe' is neither yes nor no" },
        { "remote", "", "remote = ''" },
        { "socket", "mysqld.sock", "socket = 'mysqld.sock' is not an absolute path" },
        { "host", "", "host = ''" },
        { "host", "a,b", "host = 'a,b' is neither a name nor an address" },
        { "host", "replication://a", "host = 'replication://a'" },
        { "user", "", "user is empty" },
        { "method", "lock", "method = 'lock' is neither auto, ftwrl nor backup-stage" },
        { "blockers", "", "blockers = '' is neither wait, fail nor kill" },
        { "long-query", "1", "long-query = '1' is not a time from 100ms to 60min" },
        { "long-query", "99ms", "long-query = '99ms'" },
        { "long-query", "61min", "long-query = '61min'" },
        { "long-query", "s", "long-query = 's'" },
        { "lock-attempt", "49ms", "lock-attempt = '49ms' is not a time from 50ms to 1min" },
        { "lock-attempt", "99999999999999999999s", "lock-attempt = '" },
        { "query-text", "-1", "query-text = '-1' is not a number from 0 to 1000" },
        { "query-text", "1001", "query-text = '1001'" },
        { "query-text", "10 ", "query-text = '10 '" },
        { "tls", "yes", "tls = 'yes' is neither verify, encrypt nor off" },
        { "tls-ca", "ca.pem", "tls-ca = 'ca.pem' is not an absolute path" },
        { "tls-key", "", "tls-key = '' is not an absolute path" },
        { "defaults-file", "my.cnf", "defaults-file = 'my.cnf' is not an absolute path" },
        { "password-file", "a/b", "password-file = 'a/b' is neither an absolute path nor" },
        { "nothing", "", "not an option" },
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        bench->error[0] = '\0';
        assert_int_equal(quiesced_plugin.option(bench->self, table[i].key, table[i].value),
                         -EINVAL);
        assert_non_null(strstr(bench->error, table[i].error));
    }
}

static void test_socket_path_is_too_long(void **state)
{
    struct bench *bench = *state;
    char path[128];

    memset(path, '/', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(quiesced_plugin.option(bench->self, "socket", path), -EINVAL);
    assert_non_null(strstr(bench->error, "107 bytes"));
}

static void set(struct bench *bench, const char *key, const char *value)
{
    assert_int_equal(quiesced_plugin.option(bench->self, key, value), 0);
}

static void test_socket_and_host_exclude_each_other(void **state)
{
    struct bench *bench = *state;

    set(bench, "socket", "/run/x");
    set(bench, "host", "localhost");
    assert_int_equal(quiesced_plugin.ready(bench->self), -EINVAL);
    assert_string_equal(bench->error, "socket and host exclude each other");
}

static void test_port_needs_host(void **state)
{
    struct bench *bench = *state;

    set(bench, "port", "3306");
    assert_int_equal(quiesced_plugin.ready(bench->self), -EINVAL);
}

static void test_another_machine_needs_remote(void **state)
{
    static const char *const far[] = {
        "db.example.org",       "10.0.0.1", "128.0.0.1", "::2", "127.0.0.1.example.org",
        "localhost.example.org"
    };
    static const char *const near[] = { "localhost", "127.0.0.1", "127.8.0.1", "::1" };
    struct bench *bench = *state;

    for (size_t i = 0; i < ARRAY_SIZE(far); i++) {
        bench->error[0] = '\0';
        set(bench, "host", far[i]);
        assert_int_equal(quiesced_plugin.ready(bench->self), -EINVAL);
        assert_non_null(strstr(bench->error, "remote = yes"));
        assert_non_null(strstr(bench->error, "IPAddressAllow="));
    }
    for (size_t i = 0; i < ARRAY_SIZE(near); i++) {
        set(bench, "host", near[i]);
        assert_int_equal(quiesced_plugin.ready(bench->self), 0);
    }
    set(bench, "host", far[0]);
    set(bench, "remote", "yes");
    set(bench, "tls", "encrypt");
    assert_int_equal(quiesced_plugin.ready(bench->self), 0);
}

static void test_host_is_reached_by_tcp(void **state)
{
    struct bench *bench = *state;

    set(bench, "host", "localhost");
    set(bench, "user", "u");
    assert_int_equal(quiesced_plugin.ready(bench->self), 0);
    fake_connect_fails(1, "u@localhost:3306", 2003, "Can't connect to server on 'localhost' (115)");
    fake_close(1);
    assert_int_equal(bench_prepare(bench), QUIESCED_NOT_RUNNING);
    assert_non_null(strstr(bench->error, "'localhost' port 3306 as 'u'"));
}

static void test_versions(void **state)
{
    static const struct {
        const char *version;
        const char *comment;
        const char *name;
        unsigned int number;
    } table[] = {
        { "10.11.19-MariaDB-0+deb12u1-log", "Debian 12", "MariaDB 10.11.19", 101119 },
        { "5.5.5-10.6.8-MariaDB", "", "MariaDB 10.6.8", 100608 },
        { "11.8.6-log", "mariadb.org binary distribution", "MariaDB 11.8.6", 110806 },
        { "9.7.4", "MySQL Community Server - GPL", "MySQL 9.7.4", 90704 },
        { "8.0.36-28", "Percona Server (GPL), Release 28", "MySQL 8.0.36", 80036 },
        { "5.5.5", "MySQL Community Server (GPL)", "MySQL 5.5.5", 50505 },
        { "", "", "MySQL ", 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct server server = { .version = 0 };

        server_parse_version(table[i].version, table[i].comment, &server);
        assert_string_equal(server.name, table[i].name);
        assert_int_equal(server.version, table[i].number);
    }
}

static void test_accounts_are_quoted(void **state)
{
    char text[32];

    (void)state;
    assert_true(server_quote_account("quiesced@localhost", text, sizeof(text)));
    assert_string_equal(text, "'quiesced'@'localhost'");
    assert_true(server_quote_account("o'neil@home@%", text, sizeof(text)));
    assert_string_equal(text, "'o''neil@home'@'%'");
    assert_true(server_quote_account("a\\", text, sizeof(text)));
    assert_string_equal(text, "'a\\\\'");
    assert_false(server_quote_account("a-very-long-name-of-a-user@localhost", text, sizeof(text)));
}

static void test_grants(void **state)
{
    static const struct {
        enum server_flavour flavour;
        const char *line;
        bool lock;
        bool flush_logs;
        bool process;
        bool certain;
    } table[] = {
        { SERVER_MARIADB, "GRANT RELOAD, PROCESS ON *.* TO `q`@`%` IDENTIFIED BY PASSWORD '*0'",
          true, true, true, true },
        { SERVER_MARIADB, "GRANT ALL PRIVILEGES ON *.* TO `q`@`%` WITH GRANT OPTION", true, true,
          true, true },
        { SERVER_MARIADB, "GRANT RELOAD ON `t`.* TO `q`@`%`", false, false, false, true },
        { SERVER_MARIADB, "GRANT USAGE ON *.* TO `q`@`%`", false, false, false, true },
        { SERVER_MARIADB, "GRANT `r` TO `q`@`%`", false, false, false, false },
        { SERVER_MARIADB, "GRANT FLUSH_TABLES ON *.* TO `q`@`%`", false, false, false, true },
        { SERVER_MARIADB, "GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION", false,
          false, false, true },
        { SERVER_MYSQL, "GRANT BACKUP_ADMIN,FLUSH_TABLES ON *.* TO `q`@`%`", true, false, false,
          true },
        { SERVER_MYSQL, "GRANT SELECT, RELOAD, SHUTDOWN ON *.* TO `q`@`%`", true, true, false,
          true },
        { SERVER_MYSQL, "REVOKE RELOAD ON *.* FROM `q`@`%`", false, false, false, true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct server server = { .flavour = table[i].flavour };
        struct rights rights = { .certain = true };

        rights_parse_line(table[i].line, &server, &rights);
        assert_int_equal(rights.lock, table[i].lock);
        assert_int_equal(rights.flush_logs, table[i].flush_logs);
        assert_int_equal(rights.process, table[i].process);
        assert_int_equal(rights.certain, table[i].certain);
    }
}

static void test_grant_statements(void **state)
{
    static const struct {
        struct server server;
        const char *statement;
        enum policy_blockers blockers;
    } table[] = {
        { { .flavour = SERVER_MARIADB, .version = 101119 },
          "GRANT RELOAD, PROCESS, BINLOG MONITOR, SLAVE MONITOR, CONNECTION ADMIN ON *.* TO 'q'",
          POLICY_KILL },
        { { .flavour = SERVER_MYSQL, .version = 50624 },
          "GRANT RELOAD, PROCESS, REPLICATION CLIENT, SUPER ON *.* TO 'q'",
          POLICY_KILL },
        { { .flavour = SERVER_MYSQL, .version = 90704 },
          "GRANT FLUSH_TABLES, PROCESS, REPLICATION CLIENT, CONNECTION_ADMIN ON *.* TO 'q'",
          POLICY_KILL },
        { { .flavour = SERVER_MARIADB, .version = 101119 },
          "GRANT RELOAD, PROCESS, BINLOG MONITOR, SLAVE MONITOR ON *.* TO 'q'",
          POLICY_WAIT },
        { { .flavour = SERVER_MARIADB, .version = 100432 },
          "GRANT RELOAD, PROCESS, REPLICATION CLIENT ON *.* TO 'q'",
          POLICY_WAIT },
        { { .flavour = SERVER_MYSQL, .version = 50624 },
          "GRANT RELOAD, PROCESS, REPLICATION CLIENT ON *.* TO 'q'",
          POLICY_WAIT },
        { { .flavour = SERVER_MYSQL, .version = 80400 },
          "GRANT FLUSH_TABLES, PROCESS, REPLICATION CLIENT ON *.* TO 'q'",
          POLICY_WAIT },
        { { .flavour = SERVER_MYSQL, .version = 80400, .redo_is_lazy = true },
          "GRANT RELOAD, PROCESS, REPLICATION CLIENT ON *.* TO 'q'",
          POLICY_WAIT },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct server server = table[i].server;
        char text[256];

        (void)snprintf(server.account, sizeof(server.account), "'q'");
        rights_statement(&server, table[i].blockers, text, sizeof(text));
        assert_string_equal(text, table[i].statement);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bad_options),
        TEST(test_socket_path_is_too_long),
        TEST(test_socket_and_host_exclude_each_other),
        TEST(test_port_needs_host),
        TEST(test_another_machine_needs_remote),
        TEST(test_host_is_reached_by_tcp),
        TEST(test_versions),
        TEST(test_accounts_are_quoted),
        TEST(test_grants),
        TEST(test_grant_statements),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
