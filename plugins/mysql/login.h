/* SPDX-License-Identifier: GPL-2.0-or-later */
/* login.h: as whom to connect, and the files that say so */
#ifndef MYSQL_LOGIN_H
#define MYSQL_LOGIN_H

#include "defaults.h"
#include "quiesced-plugin.h"

struct login {
    char *user;
    char *password; /* NULL: none */
    char *password_file;
    char *defaults_file;
};

int login_set_user(struct login *login, const struct quiesced_host *host, const char *value);
int login_set_password(struct login *login, const struct quiesced_host *host, const char *value);
int login_set_password_file(struct login *login, const struct quiesced_host *host,
                            const char *value);
int login_set_defaults_file(struct login *login, const struct quiesced_host *host,
                            const char *value);

/*
 * Reads the files. What the app's own keys say goes before the option file, whose
 * other contents are handed on in *ret_defaults (to be cleared). What is wrong is
 * told to @host.
 */
int login_complete(struct login *login, const struct quiesced_host *host,
                   struct defaults *ret_defaults);
/* Frees the strings; the password is overwritten first. */
void login_clear(struct login *login);

#endif
