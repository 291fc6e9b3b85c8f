/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * defaults.h: what a MySQL option file says about the login
 *
 * The client libraries read such files too, but they would take whatever stands in
 * them: a plugin directory, statements to begin with, other files. Here only user,
 * password, socket and the three ssl files count, in the groups [client] and
 * [quiesced], of which the latter wins. The rest belongs to other programs.
 */
#ifndef MYSQL_DEFAULTS_H
#define MYSQL_DEFAULTS_H

struct defaults {
    char *user; /* NULL: not said; likewise below */
    char *password;
    char *socket;
    char *ssl_ca;
    char *ssl_cert;
    char *ssl_key;
};

/* -EINVAL with the number of the line and what is wrong with it, or -ENOMEM.
 * defaults_clear() works on the result and on zeroes; it wipes the password. */
int defaults_parse(const char *text, struct defaults *ret, unsigned int *ret_line,
                   const char **ret_why);
void defaults_clear(struct defaults *defaults);

#endif
