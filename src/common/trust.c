/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trust.c: which files may be believed
 *
 * The path is walked one component at a time. Each is opened by O_PATH, which has
 * no side effect on whatever it is, and judged on that descriptor before anything
 * is looked up in it. So nobody can slip another directory in between the judging
 * and the using; and nothing that was not judged is ever opened for reading.
 */
#include <config.h>

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "trust.h"
#include "util.h"

#define LINKS_MAX 40 /* the kernel's own limit */

enum place {
    ON_THE_WAY,
    AT_THE_END,
};

struct walk {
    int fd;              /* of the directory that was reached, O_PATH */
    struct stat st;      /* its */
    char at[PATH_MAX];   /* its name, for messages; "" is the root */
    char rest[PATH_MAX]; /* what is still to be walked */
    size_t given;        /* so many bytes at the end of @rest are of the path that was
                          * asked for; those before are a symbolic link's */
    unsigned links;
    char **ret_why;
};

static int refuse_owner(const char *where, uid_t owner, char **ret_why)
{
    if (geteuid() == 0) {
        return util_fail(ret_why, -EPERM, "'%s' belongs to user %u, not to root", where,
                         (unsigned)owner);
    }
    return util_fail(ret_why, -EPERM, "'%s' belongs to user %u, neither to root nor to user %u",
                     where, (unsigned)owner, (unsigned)geteuid());
}

static int judge(const char *where, const struct stat *st, enum place place, char **ret_why)
{
    bool sticky = place == ON_THE_WAY && S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX) != 0;

    /* This is the sticky rule too: in such a directory others can make names, but
     * they can neither give theirs away nor rename or remove ours. */
    if (st->st_uid != 0 && st->st_uid != geteuid()) {
        return refuse_owner(where, st->st_uid, ret_why);
    }
    /* The mode of a link is always 0777 and means nothing; an ACL that lets
     * others write shows in the group's bits. */
    if (S_ISLNK(st->st_mode) || sticky) {
        return 0;
    }
    if ((st->st_mode & S_IWOTH) != 0) {
        return util_fail(ret_why, -EPERM, "'%s' is writable by others", where);
    }
    if ((st->st_mode & S_IWGRP) != 0) {
        return util_fail(ret_why, -EPERM, "'%s' is writable by its group", where);
    }
    return 0;
}

static int judge_kind(const char *where, const struct stat *st, enum trust_kind kind,
                      char **ret_why)
{
    switch (kind) {
    case TRUST_FILE:
        if (!S_ISREG(st->st_mode)) {
            return util_fail(ret_why, -EINVAL, "'%s' is not a regular file", where);
        }
        return 0;
    case TRUST_DIRECTORY:
        if (!S_ISDIR(st->st_mode)) {
            return util_fail(ret_why, -EINVAL, "'%s' is not a directory", where);
        }
        return 0;
    }
    abort();
}

static int fail_open(const char *where, int r, char **ret_why)
{
    return util_fail(ret_why, r, "cannot open '%s': %s", where, strerror(-r));
}

static int walk_to_root(struct walk *walk)
{
    int r;

    walk->fd = util_close(walk->fd);
    walk->at[0] = '\0';
    walk->fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (walk->fd < 0 || fstat(walk->fd, &walk->st) < 0) {
        r = -errno;
        return fail_open("/", r, walk->ret_why);
    }
    return judge("/", &walk->st, ON_THE_WAY, walk->ret_why);
}

/* Takes the next component out of the rest: 1, or 0 at the end. */
static int walk_next(struct walk *walk, char name[static NAME_MAX + 1], bool *ret_of_link)
{
    size_t left = strlen(walk->rest);
    size_t slashes = strspn(walk->rest, "/");
    size_t n = strcspn(walk->rest + slashes, "/");

    if (n > NAME_MAX) {
        return util_fail(walk->ret_why, -ENAMETOOLONG, "a name in '%s/%.64s…' is too long",
                         walk->at, walk->rest + slashes);
    }
    if (n == 0) {
        return 0;
    }
    memcpy(name, walk->rest + slashes, n);
    name[n] = '\0';
    *ret_of_link = left - slashes > walk->given;
    left -= slashes + n;
    memmove(walk->rest, walk->rest + slashes + n, left + 1);
    walk->given = walk->given < left ? walk->given : left;
    return 1;
}

static int walk_through_link(struct walk *walk, int link_fd, const char *where)
{
    char target[PATH_MAX];
    size_t left = strlen(walk->rest);
    ssize_t n;
    int r;

    if (++walk->links > LINKS_MAX) {
        return util_fail(walk->ret_why, -ELOOP, "too many symbolic links, the last is '%s'", where);
    }
    n = readlinkat(link_fd, "", target, sizeof(target));
    if (n < 0) {
        r = -errno;
        return util_fail(walk->ret_why, r, "cannot read the link '%s': %s", where, strerror(-r));
    }
    if (n == 0 || (size_t)n + left >= sizeof(walk->rest)) {
        return util_fail(walk->ret_why, -ENAMETOOLONG, "the link '%s' leads to too long a path",
                         where);
    }
    memmove(walk->rest + n, walk->rest, left + 1);
    memcpy(walk->rest, target, (size_t)n);
    return target[0] == '/' ? walk_to_root(walk) : 0;
}

static void walk_enter(struct walk *walk, const char *name, int *fd, const struct stat *st)
{
    size_t n = strlen(walk->at);

    if (strcmp(name, "..") == 0) {
        char *slash = strrchr(walk->at, '/');

        if (slash != NULL) {
            *slash = '\0';
        }
    } else if (strcmp(name, ".") != 0) {
        /* cut when it is too long: it is for messages alone */
        (void)snprintf(walk->at + n, sizeof(walk->at) - n, "/%s", name);
    }
    (void)util_close(walk->fd);
    walk->fd = *fd;
    walk->st = *st;
    *fd = -1;
}

/* The last component, which was judged as @expected, for reading. */
static int walk_open(struct walk *walk, const char *name, const char *where,
                     const struct stat *expected, enum trust_kind kind, int *ret_fd,
                     struct stat *ret_stat)
{
    CLEANUP_CLOSE int fd = -1;
    struct stat st;
    int r;

    r = judge_kind(where, expected, kind, walk->ret_why);
    if (r < 0) {
        return r;
    }
    /* O_NONBLOCK for a FIFO that has come into the file's place since */
    fd = openat(walk->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        r = -errno;
        return fail_open(where, r, walk->ret_why);
    }
    if (st.st_dev != expected->st_dev || st.st_ino != expected->st_ino) {
        return util_fail(walk->ret_why, -ESTALE, "'%s' was replaced while it was opened", where);
    }
    r = judge_kind(where, &st, kind, walk->ret_why);
    if (r == 0) {
        r = judge(where, &st, AT_THE_END, walk->ret_why);
    }
    if (r < 0) {
        return r;
    }
    *ret_fd = fd;
    fd = -1;
    if (ret_stat != NULL) {
        *ret_stat = st;
    }
    return 0;
}

/* One component: 1 when it was only a step, 0 when it was the last one and is open. */
static int walk_step(struct walk *walk, enum trust_kind kind, int *ret_fd, struct stat *ret_stat)
{
    CLEANUP_CLOSE int fd = -1;
    char where[PATH_MAX + NAME_MAX + 2];
    char name[NAME_MAX + 1];
    struct stat st;
    bool of_link = false;
    int r;

    r = walk_next(walk, name, &of_link);
    if (r < 0) {
        return r;
    }
    if (r == 0) {
        const char *here = walk->at[0] == '\0' ? "/" : walk->at;

        return walk_open(walk, ".", here, &walk->st, kind, ret_fd, ret_stat);
    }
    (void)snprintf(where, sizeof(where), "%s/%s", walk->at, name);
    fd = openat(walk->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        r = -errno;
        if (r == -ENOENT && of_link) {
            /* Something is configured, and is out of reach: an unmounted file
             * system must not pass for an absent file. */
            return util_fail(walk->ret_why, -ENOLINK,
                             "'%s', to which a symbolic link leads, does not exist", where);
        }
        return fail_open(where, r, walk->ret_why);
    }
    r = judge(where, &st, ON_THE_WAY, walk->ret_why);
    if (r < 0) {
        return r;
    }
    if (S_ISLNK(st.st_mode)) {
        r = walk_through_link(walk, fd, where);
        return r < 0 ? r : 1;
    }
    if (walk->rest[0] == '\0') {
        return walk_open(walk, name, where, &st, kind, ret_fd, ret_stat);
    }
    if (!S_ISDIR(st.st_mode)) {
        return fail_open(where, -ENOTDIR, walk->ret_why);
    }
    walk_enter(walk, name, &fd, &st);
    return 1;
}

int trust_open(const char *path, enum trust_kind kind, int *ret_fd, struct stat *ret_stat,
               char **ret_why)
{
    struct walk walk = { .fd = -1, .given = strlen(path), .ret_why = ret_why };
    int r;

    if (path[0] != '/') {
        return util_fail(ret_why, -EINVAL, "'%s' is not an absolute path", path);
    }
    if (walk.given >= sizeof(walk.rest)) {
        return util_fail(ret_why, -ENAMETOOLONG, "'%.64s…' is too long a path", path);
    }
    memcpy(walk.rest, path, walk.given + 1);
    r = walk_to_root(&walk);
    while (r >= 0) {
        r = walk_step(&walk, kind, ret_fd, ret_stat);
        if (r == 0) {
            break;
        }
    }
    walk.fd = util_close(walk.fd);
    return r;
}

int trust_open_at(int directory_fd, const char *directory, const char *name, enum trust_kind kind,
                  int *ret_fd, struct stat *ret_stat, char **ret_why)
{
    struct walk walk = { .fd = directory_fd, .ret_why = ret_why };
    char where[PATH_MAX + NAME_MAX + 2];
    CLEANUP_CLOSE int fd = -1;
    struct stat st;
    int r;

    (void)snprintf(where, sizeof(where), "%s/%s", directory, name);
    fd = openat(directory_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        r = -errno;
        return fail_open(where, r, ret_why);
    }
    if (S_ISLNK(st.st_mode)) {
        return trust_open(where, kind, ret_fd, ret_stat, ret_why);
    }
    r = judge(where, &st, ON_THE_WAY, ret_why);
    return r < 0 ? r : walk_open(&walk, name, where, &st, kind, ret_fd, ret_stat);
}
