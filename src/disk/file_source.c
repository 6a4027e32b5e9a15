/*
 * file_source: the stream is a file.
 */
#include "source.h"

#include "alloc.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define CHUNK (512 * 1024)

struct file_source {
    struct vic_source source; /* first, so that a vic_source * is a file_source * */
    struct vic_window window;
};

static int open_file(const char *path, uint64_t offset, struct vic_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0)
        return vic_error_errno(err, errno, "opening it");
    if (fstat(fd, &st) || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))) {
        close(fd);
        return vic_error_set(err, VIC_INVALID, "not a regular file");
    }
    if (offset && lseek(fd, (off_t)offset, SEEK_SET) < 0) {
        vic_error_errno(err, errno, "going to byte %" PRIu64 " of it", offset);
        close(fd);
        return -1;
    }
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return fd;
}

static int file_run(struct vic_source *source, struct vic_sink *sink,
                    struct vic_error *err)
{
    struct vic_window *window = &((struct file_source *)source)->window;
    unsigned char *buffer;
    int fd = open_file(source->name, window->offset, err);
    int result = -1;

    if (fd < 0)
        return -1;
    buffer = vic_alloc(CHUNK);
    for (;;) {
        uint64_t have = atomic_load(&source->received);
        char *unused = NULL;
        ssize_t n = read(fd, buffer, vic_window_take(window, have, &unused, CHUNK));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            vic_error_errno(err, errno, "reading it");
        if (n == 0)
            result = vic_window_ended(window, have, VIC_FORMAT, err);
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

struct vic_source *vic_file_source_new(const char *path, const struct vic_window *window)
{
    struct file_source *file = vic_alloc(sizeof(*file));
    struct vic_source *source = &file->source;

    source->run = file_run;
    source->stop = file_stop;
    source->free = file_free;
    source->name = vic_strdup(path);
    source->framed = true;
    file->window = *window;
    return source;
}
