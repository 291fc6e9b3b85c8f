/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "service.h"
#include "target.h"

#define SERVICE_FILE_MAX 65536u
#define PASSWORD_MAX 1024u

/* For files that libpq would look for in somebody's home: nothing can be there. */
#define NO_FILE "/dev/null/none"

/* Where a parameter comes from: it decides who wins, and how an error names it. */
struct source {
    struct target *target;
    const struct quiesced_host *host;
    const char *name; /* "conninfo", "service-file" */
};

static int copy_string(char **string, const char *value)
{
    char *copy = strdup(value);

    if (copy == NULL) {
        return -ENOMEM;
    }
    free(*string);
    *string = copy;
    return 0;
}

int target_set(struct target *target, const struct quiesced_host *host, const char *key,
               const char *value)
{
    if (strcmp(key, "conninfo") == 0) {
        return copy_string(&target->conninfo, value);
    }
    if (strcmp(key, "password") == 0) {
        return copy_string(&target->password, value);
    }
    if (strcmp(key, "password-file") == 0) {
        return copy_string(&target->password_file, value);
    }
    if (strcmp(key, "service-file") == 0) {
        return copy_string(&target->service_file, value);
    }
    if (strcmp(key, "remote") == 0) {
        if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0) {
            host->error(host, "remote = '%s' is neither yes nor no", value);
            return -EINVAL;
        }
        target->remote = strcmp(value, "yes") == 0;
        return 0;
    }
    host->error(host, "'%s' is not an option of this plugin", key);
    return -EINVAL;
}

static const char *param_get(const struct target *target, const char *key)
{
    for (const struct client_param *param = target->params; param->key != NULL; param++) {
        if (strcmp(param->key, key) == 0) {
            return param->value;
        }
    }
    return NULL;
}

/* What is there already, wins. An empty value is none, as in libpq. */
static int param_add(struct target *target, const char *key, const char *value)
{
    size_t n = 0;

    if (value[0] == '\0' || param_get(target, key) != NULL) {
        return 0;
    }
    while (target->params[n].key != NULL) {
        n++;
    }
    if (n == TARGET_PARAMS) {
        return -E2BIG;
    }
    target->params[n].value = strdup(value);
    target->params[n].key = strdup(key);
    if (target->params[n].value == NULL || target->params[n].key == NULL) {
        free(target->params[n].value);
        free(target->params[n].key);
        target->params[n] = (struct client_param){ .key = NULL };
        return -ENOMEM;
    }
    return 0;
}

/* Parameters that would take the connection out of what the other options say */
static const struct {
    const char *key;
    const char *hint;
} forbidden[] = {
    { "password", "use the key password or password-file in its place" },
    { "passfile", "use the key password-file, for a file with the password alone" },
    { "sslpassword", "use a key file without one" },
    { "servicefile", "use the key service-file in its place" },
    { "sslkeylogfile", "it would write a file" },
    { "replication", "the session has to run statements" },
};

static int take_param(void *data, const char *key, const char *value, enum client_secrecy secrecy)
{
    const struct source *source = data;

    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
        if (strcmp(key, forbidden[i].key) == 0) {
            source->host->error(source->host, "%s has '%s', which cannot be there: %s",
                                source->name, key, forbidden[i].hint);
            return -EINVAL;
        }
    }
    if (secrecy == CLIENT_SECRET) {
        source->host->error(source->host, "%s has the secret '%s', which cannot be there",
                            source->name, key);
        return -EINVAL;
    }
    return param_add(source->target, key, value);
}

static int take_service_param(void *data, const char *key, const char *value)
{
    const struct source *source = data;

    if (strcmp(key, "service") == 0) {
        source->host->error(source->host, "%s has a service within a service", source->name);
        return -EINVAL;
    }
    return take_param(data, key, value, CLIENT_OPEN);
}

/* libpq's words may repeat a piece of the text, and that may be a password. */
static int parse_conninfo(struct target *target, const struct quiesced_host *host)
{
    struct source source = { .target = target, .host = host, .name = "conninfo" };
    char *why = NULL;
    int r;

    if (target->conninfo == NULL) {
        return 0;
    }
    r = client_parse(target->conninfo, take_param, &source, &why);
    if (why != NULL &&
        (strcasestr(target->conninfo, "pass") != NULL || strstr(target->conninfo, "://") != NULL)) {
        host->error(host, "conninfo is no connection string");
    } else if (why != NULL) {
        host->error(host, "conninfo is no connection string: %.*s", (int)strcspn(why, "\n"), why);
    }
    free(why);
    return r;
}

static int parse_service(struct target *target, const struct quiesced_host *host)
{
    struct source source = { .target = target, .host = host, .name = "service-file" };
    const char *name = param_get(target, "service");
    unsigned int line = 0;
    char *text;
    int r;

    if (name == NULL && target->service_file == NULL) {
        return 0;
    }
    if (name == NULL || target->service_file == NULL) {
        host->error(host, name == NULL ? "service-file is of use with a service in conninfo only"
                                       : "conninfo names a service: that needs service-file too, "
                                         "since no file is looked for by default");
        return -EINVAL;
    }
    text = malloc(SERVICE_FILE_MAX);
    if (text == NULL) {
        return -ENOMEM;
    }
    r = file_read(host, target->service_file, FILE_PUBLIC, text, SERVICE_FILE_MAX);
    if (r == 0) {
        r = service_parse(text, name, take_service_param, &source, &line);
        if (r == -ENOENT) {
            host->error(host, "'%s' has no service '%s'", target->service_file, name);
        } else if (r == -EINVAL && line > 0) {
            host->error(host, "'%s' line %u is neither a heading nor 'key=value'",
                        target->service_file, line);
        }
    }
    explicit_bzero(text, SERVICE_FILE_MAX);
    free(text);
    return r;
}

/* libpq would look for the service itself. */
static void drop_service(struct target *target)
{
    struct client_param *to = target->params;

    for (struct client_param *from = target->params; from->key != NULL; from++) {
        if (strcmp(from->key, "service") == 0) {
            free(from->key);
            free(from->value);
        } else {
            *to++ = *from;
        }
    }
    *to = (struct client_param){ .key = NULL };
}

/* Without asking a resolver: a name other than localhost may lead anywhere. */
static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (strcmp(host, "localhost") == 0) {
        return true;
    }
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static int check_host(struct target *target, const struct quiesced_host *host)
{
    static const char *const single[] = { "host", "hostaddr", "port" };
    const char *name = param_get(target, "host");
    const char *address = param_get(target, "hostaddr");
    const char *where = address != NULL ? address : name;

    for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
        const char *value = param_get(target, single[i]);

        if (value != NULL && strchr(value, ',') != NULL) {
            host->error(host, "%s = '%s' is a list: an app is one server", single[i], value);
            return -EINVAL;
        }
    }
    target->is_here = address == NULL && (name[0] == '/' || name[0] == '@');
    if (!target->is_here && !is_loopback(where)) {
        if (!target->remote) {
            host->error(host,
                        "host '%s' is not this machine's loopback: that needs remote = yes "
                        "here, and a drop-in for quiesced.service that allows the address "
                        "(IPAddressAllow=)",
                        where);
            return -EINVAL;
        }
        return 0;
    }
    target->is_here = true;
    return 0;
}

/* What libpq reads because it was named is to be as good as the configuration itself. */
static int check_files(const struct target *target, const struct quiesced_host *host)
{
    static const char *const files[] = { "sslcert", "sslkey", "sslrootcert", "sslcrl" };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        const char *path = param_get(target, files[i]);
        int r;

        /* OpenSSL's own certificates, of the system */
        if (path == NULL || strcmp(path, "system") == 0) {
            continue;
        }
        r = file_check(host, path, FILE_PUBLIC);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int add_password(struct target *target, const struct quiesced_host *host)
{
    char text[PASSWORD_MAX];
    int r;

    if (target->password != NULL && target->password_file != NULL) {
        host->error(host, "password and password-file exclude each other");
        return -EINVAL;
    }
    if (target->password != NULL) {
        return param_add(target, "password", target->password);
    }
    if (target->password_file == NULL) {
        return 0;
    }
    r = file_read(host, target->password_file, FILE_SECRET, text, sizeof(text));
    if (r == 0) {
        size_t n = strcspn(text, "\r\n");

        if (n == 0 || text[n + strspn(text + n, "\r\n")] != '\0') {
            host->error(host, "password-file = '%s' is refused: it is not one line",
                        target->password_file);
            r = -EINVAL;
        } else {
            text[n] = '\0';
            r = param_add(target, "password", text);
        }
    }
    explicit_bzero(text, sizeof(text));
    return r;
}

/* Peer authentication knows the client by the name of its system user. */
static int add_user(struct target *target, const struct quiesced_host *host)
{
    char buffer[4096];
    struct passwd passwd;
    struct passwd *found = NULL;
    int r;

    if (param_get(target, "user") != NULL) {
        return 0;
    }
    r = getpwuid_r(geteuid(), &passwd, buffer, sizeof(buffer), &found);
    if (r != 0 || found == NULL) {
        host->error(host, "conninfo has no user, and the system user %u has no name: %s",
                    (unsigned int)geteuid(), r != 0 ? strerror(r) : "there is none");
        return r != 0 ? -r : -ENOENT;
    }
    return param_add(target, "user", found->pw_name);
}

static int add_defaults(struct target *target)
{
    /* What is not said here, libpq would look for in an environment or a home. */
    static const struct {
        const char *key;
        const char *value;
    } defaults[] = {
        { "port", "5432" },
        { "dbname", "postgres" },
        { "fallback_application_name", "quiesced" },
        { "client_encoding", "UTF8" },
        { "passfile", NO_FILE },
        { "sslcert", NO_FILE },
        { "sslkey", NO_FILE },
        { "sslrootcert", NO_FILE },
        { "sslcrl", NO_FILE },
        { "gssencmode", "disable" },
    };

    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        int r = param_add(target, defaults[i].key, defaults[i].value);

        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int complete(struct target *target, const struct quiesced_host *host)
{
    int r = parse_conninfo(target, host);

    if (r == 0) {
        r = parse_service(target, host);
    }
    if (r == 0) {
        drop_service(target);
        r = check_files(target, host);
    }
    if (r == 0 && param_get(target, "host") == NULL && param_get(target, "hostaddr") == NULL) {
        r = param_add(target, "host", POSTGRESQL_SOCKET_DEFAULT);
    }
    if (r == 0) {
        r = check_host(target, host);
    }
    if (r == 0) {
        r = add_password(target, host);
    }
    if (r == 0) {
        r = add_user(target, host);
    }
    return r == 0 ? add_defaults(target) : r;
}

int target_complete(struct target *target, const struct quiesced_host *host)
{
    const char *where;
    int r = complete(target, host);

    if (r == -ENOMEM || r == -E2BIG) {
        host->error(host, "%s", r == -ENOMEM ? strerror(ENOMEM) : "too many parameters");
    }
    if (r < 0) {
        return r;
    }
    where = param_get(target, "hostaddr");
    if (where == NULL) {
        where = param_get(target, "host");
    }
    (void)snprintf(target->text, sizeof(target->text), "'%s' port %s as '%s'", where,
                   param_get(target, "port"), param_get(target, "user"));
    return 0;
}

static void free_secret(char **string)
{
    if (*string != NULL) {
        explicit_bzero(*string, strlen(*string));
        free(*string);
        *string = NULL;
    }
}

void target_clear(struct target *target)
{
    for (struct client_param *param = target->params; param->key != NULL; param++) {
        free(param->key);
        free_secret(&param->value);
    }
    free_secret(&target->password);
    free_secret(&target->conninfo);
    free(target->password_file);
    free(target->service_file);
    *target = (struct target){ .remote = false };
}
