#include "imagebody.h"

#include "alloc.h"
#include "range.h"
#include "sparse.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK     ((size_t)128 * 1024) /* read at once from a file with holes */
#define ETAG_SIZE 96

/* A file with holes, while it is sent. */
struct sparse_body {
    struct vic_sparse file;
    uint64_t first; /* where in the file the body begins */
};

static ssize_t on_read(void *cls, uint64_t position, char *buffer, size_t max)
{
    struct sparse_body *body = cls;
    ssize_t n = vic_sparse_read(&body->file, body->first + position, buffer, max);

    /* 0 would be asked again at once, without end. */
    return n > 0 ? n : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void on_free(void *cls)
{
    struct sparse_body *body = cls;

    close(body->file.fd);
    free(body);
}

/* The open file and its mark, or -1 with errno. */
static int open_image(const char *file, uint64_t size, char etag[ETAG_SIZE])
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != size) {
        close(fd);
        errno = ESTALE;
        return -1;
    }
    snprintf(etag, ETAG_SIZE, "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 ".%lx\"", size,
             (uint64_t)st.st_ino, (uint64_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    return fd;
}

/* By sendfile, unless that would pull holes through the page cache. Takes fd. */
static struct MHD_Response *file_response(int fd, uint64_t size, uint64_t first,
                                          uint64_t length)
{
    struct sparse_body *body;

    if (!vic_sparse_has_holes(&(struct vic_sparse){ .fd = fd, .size = size }))
        return MHD_create_response_from_fd_at_offset64(length, fd, first);
    body = vic_alloc(sizeof(*body));
    body->file.fd = fd;
    body->file.size = size;
    body->first = first;
    return MHD_create_response_from_callback(length, BLOCK, on_read, body, on_free);
}

static void add_range(struct MHD_Response *response, const char *form, ...)
    __attribute__((format(printf, 2, 3)));

static void add_range(struct MHD_Response *response, const char *form, ...)
{
    char text[96];
    va_list args;

    va_start(args, form);
    vsnprintf(text, sizeof(text), form, args);
    va_end(args);
    MHD_add_response_header(response, "Content-Range", text);
}

static struct MHD_Response *unsatisfiable(struct vic_imagebody *body, int fd)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);

    close(fd);
    body->length = 0;
    body->status = MHD_HTTP_RANGE_NOT_SATISFIABLE;
    add_range(response, "bytes */%" PRIu64, body->size);
    return response;
}

struct MHD_Response *vic_imagebody_response(struct vic_imagebody *body)
{
    char etag[ETAG_SIZE];
    int fd = open_image(body->file, body->size, etag);
    enum vic_range_kind kind = VIC_RANGE_WHOLE;
    struct MHD_Response *response;
    uint64_t first = 0;

    if (fd < 0)
        return NULL;
    body->length = body->size;
    /* With another mark than ours, or a date, the whole is asked for. */
    if (!body->if_range || strcmp(body->if_range, etag) == 0)
        kind = vic_range_parse(body->range, body->size, &first, &body->length);
    if (kind == VIC_RANGE_UNSATISFIABLE)
        return unsatisfiable(body, fd);
    body->status = kind == VIC_RANGE_PART ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK;
    response = file_response(fd, body->size, first, body->length);
    MHD_add_response_header(response, "Content-Type", "application/octet-stream");
    MHD_add_response_header(response, "Accept-Ranges", "bytes");
    MHD_add_response_header(response, "Cache-Control", "no-store, no-transform");
    MHD_add_response_header(response, "ETag", etag);
    if (kind == VIC_RANGE_PART)
        add_range(response, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
                  first + body->length - 1, body->size);
    return response;
}
