/*
 * file_source: the stream is a file.
 */
#include "source.h"

#include "alloc.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <errno.h>
#include <stdlib.h>

#define CHUNK (512 * 1024)

static int open_file(const char *path, struct vic_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0)
        return vic_error_errno(err, errno, "opening it");
    if (fstat(fd, &st) || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))) {
        close(fd);
        return vic_error_set(err, VIC_INVALID, "not a regular file");
    }
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return fd;
}

static int file_run(struct vic_source *source, struct vic_sink *sink,
                    struct vic_error *err)
{
    unsigned char *buffer;
    int fd = open_file(source->name, err);
    int result = -1;

    if (fd < 0)
        return -1;
    buffer = vic_alloc(CHUNK);
    for (;;) {
        ssize_t n = read(fd, buffer, CHUNK);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            vic_error_errno(err, errno, "reading it");
        if (n == 0)
            result = 0;
        if (n <= 0)
            break;
        if (atomic_load(&source->stopped)) {
            vic_error_set(err, VIC_CANCELLED, "stopped");
            break;
        }
        atomic_fetch_add(&source->received, (uint64_t)n);
        if (sink->write(sink, buffer, (size_t)n, err))
            break;
    }
    free(buffer);
    close(fd);
    return result;
}

static void file_stop(struct vic_source *source)
{
    atomic_store(&source->stopped, true);
}

static void file_free(struct vic_source *source)
{
    free(source->name);
    free(source);
}

struct vic_source *vic_file_source_new(const char *path)
{
    struct vic_source *source = vic_alloc(sizeof(*source));

    source->run = file_run;
    source->stop = file_stop;
    source->free = file_free;
    source->name = vic_strdup(path);
    source->framed = true;
    return source;
}
