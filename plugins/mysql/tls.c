/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"
#include "tls.h"
#include "trusted_file.h"

static const struct {
    const char *key;
    uint32_t flags;
} tls_files[TLS_FILES] = {
    [TLS_CA] = { "tls-ca", 0 },
    [TLS_CERT] = { "tls-cert", 0 },
    [TLS_KEY] = { "tls-key", QUIESCED_OPEN_SECRET },
};

void tls_init(struct tls *tls)
{
    *tls = (struct tls){ .mode = CLIENT_TLS_OFF };
    for (int i = 0; i < TLS_FILES; i++) {
        tls->fds[i] = -1;
    }
}

int tls_set_mode(struct tls *tls, const struct quiesced_host *host, const char *value)
{
    static const struct {
        const char *text;
        enum client_tls mode;
    } words[] = {
        { "verify", CLIENT_TLS_VERIFY },
        { "encrypt", CLIENT_TLS_ENCRYPT },
        { "off", CLIENT_TLS_OFF },
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(value, words[i].text) == 0) {
            tls->mode = words[i].mode;
            tls->mode_given = true;
            return 0;
        }
    }
    host->error(host, "tls = '%s' is neither verify, encrypt nor off", value);
    return -EINVAL;
}

int tls_set_file(struct tls *tls, const struct quiesced_host *host, enum tls_file file,
                 const char *value)
{
    if (value[0] != '/') {
        host->error(host, "%s = '%s' is not an absolute path", tls_files[file].key, value);
        return -EINVAL;
    }
    return text_replace(&tls->paths[file], host, value);
}

static bool has_files(const struct tls *tls)
{
    return tls->paths[TLS_CA] != NULL || tls->paths[TLS_CERT] != NULL ||
           tls->paths[TLS_KEY] != NULL;
}

static int take_over(struct tls *tls, const struct quiesced_host *host,
                     const struct defaults *defaults)
{
    const char *const values[TLS_FILES] = {
        [TLS_CA] = defaults->ssl_ca,
        [TLS_CERT] = defaults->ssl_cert,
        [TLS_KEY] = defaults->ssl_key,
    };

    for (int i = 0; i < TLS_FILES; i++) {
        if (tls->paths[i] == NULL && values[i] != NULL) {
            int r = tls_set_file(tls, host, (enum tls_file)i, values[i]);

            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

static int check(const struct tls *tls, const struct quiesced_host *host)
{
    if (tls->mode == CLIENT_TLS_OFF && has_files(tls)) {
        host->error(host,
                    "tls = off, and the keys tls-ca, tls-cert and tls-key exclude each other");
        return -EINVAL;
    }
    if (tls->mode == CLIENT_TLS_VERIFY && tls->paths[TLS_CA] == NULL) {
        host->error(host, "the server's certificate cannot be verified without tls-ca: give it, or "
                          "say tls = encrypt if nobody can be between here and there");
        return -EINVAL;
    }
    if ((tls->paths[TLS_CERT] == NULL) != (tls->paths[TLS_KEY] == NULL)) {
        host->error(host, "tls-cert and tls-key are of use together only");
        return -EINVAL;
    }
    return 0;
}

static int open_files(struct tls *tls, const struct quiesced_host *host)
{
    for (int i = 0; i < TLS_FILES; i++) {
        int r;

        if (tls->paths[i] == NULL || tls->fds[i] >= 0) {
            continue;
        }
        r = trusted_file_open(host, tls->paths[i], tls_files[i].flags, &tls->fds[i]);
        if (r < 0) {
            tls->fds[i] = -1;
            return r;
        }
        (void)snprintf(tls->names[i], sizeof(tls->names[i]), "/proc/self/fd/%d", tls->fds[i]);
    }
    return 0;
}

int tls_complete(struct tls *tls, const struct quiesced_host *host, enum tls_way way,
                 const struct defaults *defaults)
{
    int r;

    if (way == TLS_OVER_SOCKET) {
        if (tls->mode_given || has_files(tls)) {
            host->error(host, "tls, tls-ca, tls-cert and tls-key are of use with host only");
            return -EINVAL;
        }
        return 0;
    }
    if (!(tls->mode_given && tls->mode == CLIENT_TLS_OFF)) {
        r = take_over(tls, host, defaults);
        if (r < 0) {
            return r;
        }
    }
    if (!tls->mode_given) {
        tls->mode = way == TLS_OVER_NETWORK || has_files(tls) ? CLIENT_TLS_VERIFY : CLIENT_TLS_OFF;
    }
    r = check(tls, host);
    return r < 0 ? r : open_files(tls, host);
}

void tls_clear(struct tls *tls)
{
    for (int i = 0; i < TLS_FILES; i++) {
        free(tls->paths[i]);
        if (tls->fds[i] >= 0) {
            (void)close(tls->fds[i]);
        }
    }
    tls_init(tls);
}

const char *tls_name(const struct tls *tls, enum tls_file file)
{
    return tls->fds[file] >= 0 ? tls->names[file] : NULL;
}
