/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "options.h"

enum key {
    KEY_SOCKET,
    KEY_HOST,
    KEY_PORT,
    KEY_REMOTE,
    KEY_USER,
    KEY_PASSWORD,
    KEY_PASSWORD_FILE,
    KEY_DEFAULTS_FILE,
    KEY_TLS,
    KEY_TLS_CA,
    KEY_TLS_CERT,
    KEY_TLS_KEY,
    KEY_METHOD,
    KEY_LONG_QUERY,
    KEY_BLOCKERS,
    KEY_QUERY_TEXT,
    KEY_LOCK_ATTEMPT,
    KEYS,
};

const struct quiesced_option options_table[] = {
    [KEY_SOCKET] = { .key = "socket",
                     .help = "The server's socket, an absolute path (" MYSQL_SOCKET_DEFAULT
                             " unless host is given)." },
    [KEY_HOST] = { .key = "host", .help = "The server's name or address, to use TCP instead." },
    [KEY_PORT] = { .key = "port", .help = "The server's TCP port (3306)." },
    [KEY_REMOTE] = { .key = "remote",
                     .help = "May the host be another machine? yes or no.",
                     .initial = "no" },
    [KEY_USER] = { .key = "user",
                   .help = "The database user (the name of the system user that runs the "
                           "worker)." },
    [KEY_PASSWORD] = { .key = "password",
                       .help = "The database user's password.",
                       .flags = QUIESCED_OPTION_SECRET },
    [KEY_PASSWORD_FILE] = { .key = "password-file",
                            .help = "A file with the password, or the name of a credential of "
                                    "the service." },
    [KEY_DEFAULTS_FILE] = { .key = "defaults-file",
                            .help = "A MySQL option file with user, password, socket and ssl "
                                    "files in [client] or [quiesced]." },
    [KEY_TLS] = { .key = "tls", .help = "Encryption over TCP: verify, encrypt or off." },
    [KEY_TLS_CA] = { .key = "tls-ca",
                     .help = "A file with the certificates to verify the server's by." },
    [KEY_TLS_CERT] = { .key = "tls-cert", .help = "A file with the client's certificate." },
    [KEY_TLS_KEY] = { .key = "tls-key", .help = "A file with the client's private key." },
    [KEY_METHOD] = { .key = "method",
                     .help = "How to hold: auto, ftwrl or backup-stage.",
                     .initial = "auto" },
    [KEY_LONG_QUERY] = { .key = "long-query",
                         .help = "A statement older than this is not run into with the lock.",
                         .initial = "1s" },
    [KEY_BLOCKERS] = { .key = "blockers",
                       .help = "What to do about such statements: wait, fail or kill.",
                       .initial = "wait" },
    [KEY_QUERY_TEXT] = { .key = "query-text",
                         .help = "How many characters of a statement a message may show.",
                         .initial = "0" },
    [KEY_LOCK_ATTEMPT] = { .key = "lock-attempt",
                           .help = "How long one try of the lock may wait.",
                           .initial = "1s" },
    [KEYS] = { .key = NULL },
};

void options_init(struct options *options)
{
    *options = (struct options){
        .policy = { .long_query_ms = 1000, .lock_attempt_ms = 1000 },
    };
    tls_init(&options->tls);
}

void options_clear(struct options *options)
{
    address_clear(&options->address);
    login_clear(&options->login);
    tls_clear(&options->tls);
}

static int set(struct options *o, const struct quiesced_host *host, enum key key, const char *value)
{
    switch (key) {
    case KEY_SOCKET:
        return address_set_socket(&o->address, host, value);
    case KEY_HOST:
        return address_set_host(&o->address, host, value);
    case KEY_PORT:
        return address_set_port(&o->address, host, value);
    case KEY_REMOTE:
        return address_set_remote(&o->address, host, value);
    case KEY_USER:
        return login_set_user(&o->login, host, value);
    case KEY_PASSWORD:
        return login_set_password(&o->login, host, value);
    case KEY_PASSWORD_FILE:
        return login_set_password_file(&o->login, host, value);
    case KEY_DEFAULTS_FILE:
        return login_set_defaults_file(&o->login, host, value);
    case KEY_TLS:
        return tls_set_mode(&o->tls, host, value);
    case KEY_TLS_CA:
        return tls_set_file(&o->tls, host, TLS_CA, value);
    case KEY_TLS_CERT:
        return tls_set_file(&o->tls, host, TLS_CERT, value);
    case KEY_TLS_KEY:
        return tls_set_file(&o->tls, host, TLS_KEY, value);
    case KEY_METHOD:
        return policy_set_method(&o->policy, host, value);
    case KEY_LONG_QUERY:
        return policy_set_long_query(&o->policy, host, value);
    case KEY_BLOCKERS:
        return policy_set_blockers(&o->policy, host, value);
    case KEY_QUERY_TEXT:
        return policy_set_query_text(&o->policy, host, value);
    case KEY_LOCK_ATTEMPT:
        return policy_set_lock_attempt(&o->policy, host, value);
    case KEYS:
        break;
    }
    host->error(host, "not an option of this plugin");
    return -EINVAL;
}

int options_set(struct options *options, const struct quiesced_host *host, const char *key,
                const char *value)
{
    int i = 0;

    while (i < KEYS && strcmp(options_table[i].key, key) != 0) {
        i++;
    }
    return set(options, host, (enum key)i, value);
}

static enum tls_way way_of(const struct address *address)
{
    if (address->socket != NULL) {
        return TLS_OVER_SOCKET;
    }
    return address_is_loopback(address) ? TLS_OVER_LOOPBACK : TLS_OVER_NETWORK;
}

int options_complete(struct options *options, const struct quiesced_host *host)
{
    struct defaults defaults = { .user = NULL };
    int r = login_complete(&options->login, host, &defaults);

    if (r < 0) {
        return r;
    }
    r = address_complete(&options->address, host, defaults.socket);
    if (r == 0) {
        r = tls_complete(&options->tls, host, way_of(&options->address), &defaults);
    }
    defaults_clear(&defaults);
    return r;
}

struct client_target options_target(const struct options *options)
{
    return (struct client_target){
        .socket = options->address.socket,
        .host = options->address.host,
        .port = options->address.port,
        .user = options->login.user,
        .password = options->login.password,
        .tls = options->tls.mode,
        .tls_ca = tls_name(&options->tls, TLS_CA),
        .tls_cert = tls_name(&options->tls, TLS_CERT),
        .tls_key = tls_name(&options->tls, TLS_KEY),
    };
}
