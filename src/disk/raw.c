/*
 * raw: the sparse file of one disk.
 */
#include "raw.h"

#include "alloc.h"
#include "magic.h"
#include "part_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 4096u /* what holes are made of, and what O_DIRECT asks for */

struct vic_raw {
    struct vic_output output;
    char *path;
    char *part; /* path + ".part" */
    int fd;
    int direct; /* the same file past the page cache, or -1 */
    bool any;   /* content: the first bytes are not looked at */
    bool committed;
    atomic_uint_least64_t written;
};

/* Removes a .part of an earlier run, unless somebody still writes it. */
static int remove_stale(const char *part, struct vic_error *err)
{
    int fd = open(part, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    int result = 0;

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return vic_error_errno(err, errno, "opening %s", part);
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        result = vic_error_set(err, VIC_CONFLICT, "%s is not a file of ours", part);
    else if (vic_part_file_lock(fd, part, err))
        result = -1;
    else if (unlink(part))
        result = vic_error_errno(err, errno, "removing %s", part);
    close(fd);
    return result;
}

/* The same file, opened for writes past the page cache; -1 where that is refused. */
static int open_direct(const char *part, int fd)
{
    int direct = open(part, O_WRONLY | O_DIRECT | O_NOFOLLOW | O_CLOEXEC);
    struct stat a, b;

    if (direct < 0)
        return -1;
    if (fstat(fd, &a) || fstat(direct, &b) || a.st_ino != b.st_ino ||
        a.st_dev != b.st_dev) {
        close(direct);
        return -1;
    }
    return direct;
}

static int raw_resize(struct vic_output *output, uint64_t capacity, struct vic_error *err)
{
    struct vic_raw *raw = (struct vic_raw *)output;

    if (capacity > INT64_MAX || ftruncate(raw->fd, (off_t)capacity))
        return vic_error_errno(err, capacity > INT64_MAX ? EFBIG : errno,
                               "making %s %llu bytes long", raw->part,
                               (unsigned long long)capacity);
    return 0;
}

/* Direct where place, size and address allow it: all but a disk's odd last bytes. */
static int raw_write_all(struct vic_raw *raw, uint64_t offset, const unsigned char *data,
                         size_t size, struct vic_error *err)
{
    while (size) {
        bool direct = raw->direct >= 0 && offset % BLOCK == 0 && size >= BLOCK &&
                      (uintptr_t)data % BLOCK == 0;
        size_t part = direct ? size - size % BLOCK : size;
        ssize_t n = pwrite(direct ? raw->direct : raw->fd, data, part, (off_t)offset);

        /* Some file systems refuse direct writes only when they come. */
        if (n < 0 && errno == EINVAL && direct) {
            direct = false;
            n = pwrite(raw->fd, data, part, (off_t)offset);
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return vic_error_errno(err, errno, "writing %s", raw->part);
        if (!direct)
            sync_file_range(raw->fd, (off_t)offset, n, SYNC_FILE_RANGE_WRITE);
        offset += (size_t)n;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

static bool is_zero(const unsigned char *data, size_t size)
{
    return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

static size_t block_size(size_t left)
{
    return left < BLOCK ? left : BLOCK;
}

static int raw_put(struct vic_output *output, uint64_t offset, const unsigned char *data,
                   size_t size, struct vic_error *err)
{
    struct vic_raw *raw = (struct vic_raw *)output;
    size_t at = 0;

    if (offset == 0 && !raw->any && vic_magic_refuse(data, size, err))
        return -1;
    while (at < size) {
        size_t from = at;

        while (at < size && !is_zero(data + at, block_size(size - at)))
            at += block_size(size - at);
        if (at > from) {
            if (raw_write_all(raw, offset + from, data + from, at - from, err))
                return -1;
            atomic_fetch_add(&raw->written, at - from);
        }
        while (at < size && is_zero(data + at, block_size(size - at)))
            at += block_size(size - at);
    }
    return 0;
}

static struct vic_raw *raw_new(const char *path)
{
    struct vic_raw *raw = vic_alloc(sizeof(*raw));
    size_t size = strlen(path) + sizeof(".part");

    raw->output.resize = raw_resize;
    raw->output.put = raw_put;
    raw->output.waits = true;
    raw->path = vic_strdup(path);
    raw->part = vic_alloc(size);
    snprintf(raw->part, size, "%s.part", path);
    raw->fd = raw->direct = -1;
    return raw;
}

struct vic_raw *vic_raw_create(const char *path, struct vic_error *err)
{
    struct vic_raw *raw = raw_new(path);
    struct stat st;

    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        vic_error_set(err, VIC_CONFLICT, "%s exists and is not a regular file", path);
        goto fail;
    }
    if (remove_stale(raw->part, err))
        goto fail;
    raw->fd = open(raw->part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (raw->fd < 0) {
        vic_error_errno(err, errno, "creating %s", raw->part);
        goto fail;
    }
    if (vic_part_file_lock(raw->fd, raw->part, err))
        goto fail;
    raw->direct = open_direct(raw->part, raw->fd);
    return raw;
fail:
    vic_raw_free(raw);
    return NULL;
}

void vic_raw_take_any(struct vic_raw *raw)
{
    raw->any = true;
}

void vic_raw_free(struct vic_raw *raw)
{
    if (!raw)
        return;
    if (raw->fd >= 0 && !raw->committed && vic_part_file_is_at(raw->fd, raw->part))
        unlink(raw->part);
    if (raw->direct >= 0)
        close(raw->direct);
    if (raw->fd >= 0)
        close(raw->fd);
    free(raw->path);
    free(raw->part);
    free(raw);
}

struct vic_output *vic_raw_output(struct vic_raw *raw)
{
    return &raw->output;
}

uint64_t vic_raw_written(const struct vic_raw *raw)
{
    return atomic_load(&raw->written);
}

int vic_raw_fd(const struct vic_raw *raw)
{
    return raw->fd;
}

int vic_raw_commit(struct vic_raw *raw, struct vic_error *err)
{
    if (fsync(raw->fd))
        return vic_error_errno(err, errno, "making %s durable", raw->part);
    if (!vic_part_file_is_at(raw->fd, raw->part))
        return vic_error_set(err, VIC_CONFLICT, "%s was replaced while it was written",
                             raw->part);
    if (rename(raw->part, raw->path))
        return vic_error_errno(err, errno, "renaming %s", raw->part);
    raw->committed = true;
    if (vic_part_file_sync_folder(raw->path, err)) {
        unlink(raw->path);
        return -1;
    }
    return 0;
}
