/*
 * files: see files.h.
 */
#include "files.h"

#include "alloc.h"

#include <sys/random.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE ((size_t)64 * 1024)

static bool stopped(const atomic_bool *stop)
{
    return stop && atomic_load(stop);
}

static int fail_stopped(const char *doing, const char *path, struct vic_error *err)
{
    return vic_error_set(err, VIC_CANCELLED, "%s %s: cancelled", doing, path);
}

/* The folder that `path` is in. free() it. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return vic_strdup(".");
    return vic_strndup(path, slash > path ? (size_t)(slash - path) : 1);
}

static const char *files_name_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Makes the names in the folder of `path` durable. */
static int folder_sync(const char *path)
{
    char *folder = folder_of(path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -1 : fsync(fd);

    /* Some file systems cannot sync a folder, and say so: there is no more to do. */
    if (result < 0 && fd >= 0 && (errno == EINVAL || errno == ENOTSUP))
        result = 0;
    if (fd >= 0)
        close(fd);
    free(folder);
    return result;
}

/* ---- read ---- */

/* Of a pipe or terminal, which may stay silent: looks at `stop` meanwhile. */
static void wait_readable(int fd, const atomic_bool *stop)
{
    struct pollfd pollfd = { .fd = fd, .events = POLLIN };

    while (!stopped(stop) && poll(&pollfd, 1, 50) == 0)
        ;
}

int vic_file_read(const char *path, size_t most, const atomic_bool *stop, char **data,
                  size_t *size, struct vic_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *bytes = NULL;
    size_t have = 0, room = 0;

    if (fd < 0)
        return vic_error_errno(err, errno, "reading %s", path);
    for (;;) {
        ssize_t n;

        if (have + PIECE > room) {
            room = room ? 2 * room : PIECE;
            bytes = vic_realloc(bytes, room);
        }
        wait_readable(fd, stop);
        if (stopped(stop)) {
            fail_stopped("reading", path, err);
            break;
        }
        n = read(fd, bytes + have, PIECE);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0) {
            vic_error_errno(err, errno, "reading %s", path);
            break;
        }
        have += (size_t)n;
        if (have > most) {
            vic_error_set(err, VIC_INVALID, "reading %s: larger than %zu bytes", path,
                          most);
            break;
        }
        if (n == 0) {
            close(fd);
            *data = bytes;
            *size = have;
            return 0;
        }
    }
    close(fd);
    free(bytes);
    return -1;
}

int vic_file_part(const char *path, uint64_t offset, size_t most, char **data,
                  size_t *size, struct vic_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *bytes = vic_alloc(most);
    ssize_t n = fd < 0 ? -1 : pread(fd, bytes, most, (off_t)offset);

    if (n < 0) {
        vic_error_errno(err, errno, "reading %s", path);
        free(bytes);
    } else {
        *data = bytes;
        *size = (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    return n < 0 ? -1 : 0;
}

/* ---- write ---- */

/* A file on its way to its name. */
struct fresh {
    int fd;
    bool named; /* it stands at `temporary` */
    char *temporary;
};

/* Without a name where the file system can do that, so that nothing stays behind
 * whenever the process ends. */
static int fresh_open(struct fresh *fresh, const char *path)
{
    char *folder = folder_of(path);
    size_t size = strlen(path) + sizeof("/..XXXXXX.new") + 1;

    fresh->temporary = vic_alloc(size);
    snprintf(fresh->temporary, size, "%s/.%.200s.XXXXXX.new", folder,
             files_name_of(path));
    fresh->named = false;
    fresh->fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    free(folder);
    if (fresh->fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return fresh->fd < 0 ? -1 : 0;
    fresh->fd = mkostemps(fresh->temporary, 4, O_CLOEXEC);
    fresh->named = fresh->fd >= 0;
    return fresh->fd < 0 ? -1 : 0;
}

/* Gives it its temporary name, which rename() needs. */
static int fresh_name(struct fresh *fresh)
{
    char self[64];
    int tries;

    snprintf(self, sizeof(self), "/proc/self/fd/%d", fresh->fd);
    for (tries = 0; !fresh->named && tries < 100; tries++) {
        char *at = fresh->temporary + strlen(fresh->temporary) - 10;
        uint32_t random = 0;
        char digits[16];

        if (getrandom(&random, sizeof(random), 0) < 0)
            return -1;
        snprintf(digits, sizeof(digits), "%06x", (unsigned)random & 0xffffff);
        memcpy(at, digits, 6);
        if (linkat(AT_FDCWD, self, AT_FDCWD, fresh->temporary, AT_SYMLINK_FOLLOW) == 0)
            fresh->named = true;
        else if (errno != EEXIST)
            return -1;
    }
    return fresh->named ? 0 : -1;
}

static int files_write_all(int fd, const char *data, size_t size, const atomic_bool *stop)
{
    while (size > 0) {
        ssize_t n;

        if (stopped(stop)) {
            errno = ECANCELED;
            return -1;
        }
        n = write(fd, data, size < PIECE ? size : PIECE);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

int vic_file_write(const char *path, const char *data, size_t size, unsigned mode,
                   const atomic_bool *stop, struct vic_error *err)
{
    struct fresh fresh = { -1, false, NULL };
    int result = -1;

    if (fresh_open(&fresh, path) < 0 || fchmod(fresh.fd, mode) < 0 ||
        files_write_all(fresh.fd, data, size, stop) < 0 || fsync(fresh.fd) < 0)
        goto out;
    if (stopped(stop)) {
        errno = ECANCELED;
        goto out;
    }
    if (fresh_name(&fresh) < 0 || rename(fresh.temporary, path) < 0)
        goto out;
    fresh.named = false;
    result = folder_sync(path);
out:
    if (result < 0)
        vic_error_errno(err, errno, "writing %s", path);
    if (fresh.named)
        unlink(fresh.temporary);
    if (fresh.fd >= 0)
        close(fresh.fd);
    free(fresh.temporary);
    return result;
}

int vic_file_rename(const char *from, const char *to, struct vic_error *err)
{
    if (rename(from, to) < 0 || folder_sync(to) < 0)
        return vic_error_errno(err, errno, "renaming %s to %s", from, to);
    return 0;
}
