/*
 * part_file: open, lock, and look whether the name still is this file's: somebody may have
 * finished or removed it between the first two.
 */
#include "part_file.h"

#include "alloc.h"

#include <fcntl.h>
#include <libgen.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <errno.h>
#include <stdlib.h>

bool vic_part_file_is_at(int fd, const char *path)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 && lstat(path, &b) == 0 && a.st_ino == b.st_ino &&
           a.st_dev == b.st_dev;
}

int vic_part_file_lock(int fd, const char *path, struct vic_error *err)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return vic_error_set(err, VIC_BUSY, "%s is being written", path);
    return vic_error_errno(err, errno, "locking %s", path);
}

int vic_part_file_open(const char *path, struct vic_error *err)
{
    int fd;

    do {
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (fd < 0)
            return vic_error_errno(err, errno, "creating %s", path);
        if (vic_part_file_lock(fd, path, err)) {
            close(fd);
            return -1;
        }
        if (vic_part_file_is_at(fd, path))
            return fd;
        close(fd);
    } while (true);
}

int vic_part_file_sync_folder(const char *path, struct vic_error *err)
{
    char *copy = vic_strdup(path);
    const char *folder = dirname(copy);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = 0;

    if (fd < 0 || fsync(fd))
        result = vic_error_errno(err, errno, "making the folder of %s durable", path);
    if (fd >= 0)
        close(fd);
    free(copy);
    return result;
}
