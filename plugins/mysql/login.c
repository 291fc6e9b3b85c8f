/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "login.h"
#include "text.h"
#include "trusted_file.h"

int login_set_user(struct login *login, const struct quiesced_host *host, const char *value)
{
    if (value[0] == '\0') {
        host->error(host, "user is empty");
        return -EINVAL;
    }
    return text_replace(&login->user, host, value);
}

int login_set_password(struct login *login, const struct quiesced_host *host, const char *value)
{
    return text_replace(&login->password, host, value);
}

int login_set_password_file(struct login *login, const struct quiesced_host *host,
                            const char *value)
{
    if (value[0] == '\0' || (value[0] != '/' && strchr(value, '/') != NULL)) {
        host->error(host,
                    "password-file = '%s' is neither an absolute path nor the name of a "
                    "credential",
                    value);
        return -EINVAL;
    }
    return text_replace(&login->password_file, host, value);
}

int login_set_defaults_file(struct login *login, const struct quiesced_host *host,
                            const char *value)
{
    if (value[0] != '/') {
        host->error(host, "defaults-file = '%s' is not an absolute path", value);
        return -EINVAL;
    }
    return text_replace(&login->defaults_file, host, value);
}

static int read_defaults(const struct login *login, const struct quiesced_host *host,
                         struct defaults *ret)
{
    unsigned int line = 0;
    const char *why = "";
    char *text = NULL;
    int r = trusted_file_read_secret(host, "defaults-file", login->defaults_file, &text);

    if (r < 0) {
        return r;
    }
    r = defaults_parse(text, ret, &line, &why);
    (void)trusted_file_wipe(text);
    if (r == -EINVAL) {
        host->error(host, "'%s' line %u: %s", login->defaults_file, line, why);
    } else if (r < 0) {
        host->error(host, "%s", strerror(-r));
    }
    return r;
}

/* The first line: an editor ends it with a line feed, and that is none of the password. */
static int read_password(struct login *login, const struct quiesced_host *host)
{
    char *text = NULL;
    size_t length;
    int r = trusted_file_read_secret(host, "password-file", login->password_file, &text);

    if (r < 0) {
        return r;
    }
    length = strcspn(text, "\r\n");
    if (length == 0 || text[length + strspn(text + length, "\r\n")] != '\0') {
        host->error(host, "password-file = '%s' is %s", login->password_file,
                    length == 0 ? "empty" : "more than one line");
        (void)trusted_file_wipe(text);
        return -EINVAL;
    }
    text[length] = '\0';
    login->password = text;
    return 0;
}

/* Peer authentication knows the client by the name of its system user. */
static int default_user(struct login *login, const struct quiesced_host *host)
{
    char buffer[4096];
    struct passwd passwd;
    struct passwd *found = NULL;
    int r = getpwuid_r(geteuid(), &passwd, buffer, sizeof(buffer), &found);

    if (r != 0 || found == NULL) {
        host->error(host, "user is not given, and the system user %u has no name: %s",
                    (unsigned int)geteuid(), r != 0 ? strerror(r) : "there is none");
        return r != 0 ? -r : -ENOENT;
    }
    return text_replace(&login->user, host, found->pw_name);
}

static int take_over(char **own, const struct quiesced_host *host, const char *other)
{
    return *own == NULL && other != NULL ? text_replace(own, host, other) : 0;
}

int login_complete(struct login *login, const struct quiesced_host *host,
                   struct defaults *ret_defaults)
{
    struct defaults defaults = { .user = NULL };
    int r = 0;

    if (login->password != NULL && login->password_file != NULL) {
        host->error(host, "password and password-file exclude each other");
        return -EINVAL;
    }
    if (login->password_file != NULL) {
        r = read_password(login, host);
    }
    if (r == 0 && login->defaults_file != NULL) {
        r = read_defaults(login, host, &defaults);
    }
    if (r == 0) {
        r = take_over(&login->user, host, defaults.user);
    }
    if (r == 0) {
        r = take_over(&login->password, host, defaults.password);
    }
    if (r == 0 && login->user == NULL) {
        r = default_user(login, host);
    }
    if (r < 0) {
        defaults_clear(&defaults);
        return r;
    }
    *ret_defaults = defaults;
    return 0;
}

void login_clear(struct login *login)
{
    free(login->user);
    (void)trusted_file_wipe(login->password);
    free(login->password_file);
    free(login->defaults_file);
    *login = (struct login){ .user = NULL };
}
