/*
 * imagebody: libmicrohttpd asks for the bytes of a body in order, a block at a time, and
 * gets them from a file with holes or from an image's reader; files without holes that
 * nobody wants the sum of go by sendfile.
 */
#include "imagebody.h"

#include "alloc.h"
#include "drip.h"
#include "image.h"
#include "range.h"
#include "sparse.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK     ((size_t)128 * 1024) /* asked for at once */
#define ETAG_SIZE 96

/* A body on its way out. */
struct body {
    struct vic_sparse file;          /* the bytes are in it, or ... */
    struct vic_image_reader *reader; /* ... come from this one */
    uint64_t first;                  /* where in the image the body begins */
    uint64_t length;
    EVP_MD_CTX *sum; /* NULL: nobody wants it */
    char *sha512;    /* where it goes */
    void (*closing)(void *arg);
    void *closing_arg;
};

static void add_up(struct body *body, uint64_t position, const char *data, size_t size)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned length;
    unsigned i;

    if (!body->sum)
        return;
    EVP_DigestUpdate(body->sum, data, size);
    if (position + size < body->length)
        return;
    EVP_DigestFinal_ex(body->sum, sum, &length);
    for (i = 0; i < length; i++)
        snprintf(body->sha512 + 2 * (size_t)i, 3, "%02x", sum[i]);
}

static ssize_t imagebody_on_read(void *cls, uint64_t position, char *buffer, size_t max)
{
    struct body *body = cls;
    ssize_t n;

    if (body->reader) {
        n = body->reader->read(body->reader, buffer, max);
        if (n == 0) /* suspended: asked again when it is resumed */
            return 0;
    } else {
        n = vic_sparse_read(&body->file, body->first + position, buffer, max);
    }
    if (n <= 0) /* 0 would be asked again at once, without end */
        return MHD_CONTENT_READER_END_WITH_ERROR;
    add_up(body, position, buffer, (size_t)n);
    return n;
}

static void on_free(void *cls)
{
    struct body *body = cls;

    if (body->reader) {
        body->closing(body->closing_arg);
        body->reader->close(body->reader);
    } else {
        close(body->file.fd);
    }
    EVP_MD_CTX_free(body->sum);
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

static struct MHD_Response *body_response(struct body *body,
                                          const struct vic_imagebody *wanted)
{
    body->length = wanted->length;
    if (wanted->sha512 && wanted->length == wanted->size && wanted->size > 0) {
        body->sha512 = wanted->sha512;
        body->sum = EVP_MD_CTX_new();
        EVP_DigestInit_ex(body->sum, EVP_sha512(), NULL);
    }
    return MHD_create_response_from_callback(wanted->length, BLOCK, imagebody_on_read,
                                             body, on_free);
}

/* By sendfile, unless that would pull holes through the page cache, or somebody wants
 * the sum. Takes fd. */
static struct MHD_Response *file_response(int fd, const struct vic_imagebody *wanted,
                                          uint64_t first)
{
    struct vic_sparse file = { .fd = fd, .size = wanted->size };
    struct body *body;

    if (!vic_sparse_has_holes(&file) &&
        !(wanted->sha512 && wanted->length == wanted->size))
        return MHD_create_response_from_fd_at_offset64(wanted->length, fd, first);
    body = vic_alloc(sizeof(*body));
    body->file = file;
    body->first = first;
    return body_response(body, wanted);
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

static struct MHD_Response *unsatisfiable(struct vic_imagebody *body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);

    body->length = 0;
    body->status = MHD_HTTP_RANGE_NOT_SATISFIABLE;
    add_range(response, "bytes */%" PRIu64, body->size);
    return response;
}

/* Which part is asked for. With another mark than `etag`, or a date, it is the whole. */
static enum vic_range_kind choose(struct vic_imagebody *body, const char *etag,
                                  uint64_t *first)
{
    enum vic_range_kind kind = VIC_RANGE_WHOLE;

    *first = 0;
    body->length = body->size;
    if (!body->if_range || strcmp(body->if_range, etag) == 0)
        kind = vic_range_parse(body->range, body->size, first, &body->length);
    body->status = kind == VIC_RANGE_PART ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK;
    return kind;
}

static void describe(struct MHD_Response *response, const struct vic_imagebody *body,
                     uint64_t first, const char *etag)
{
    MHD_add_response_header(response, "Content-Type", "application/octet-stream");
    MHD_add_response_header(response, "Cache-Control", "no-store, no-transform");
    if (etag[0]) {
        MHD_add_response_header(response, "Accept-Ranges", "bytes");
        MHD_add_response_header(response, "ETag", etag);
    }
    if (body->status == MHD_HTTP_PARTIAL_CONTENT)
        add_range(response, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
                  first + body->length - 1, body->size);
}

static struct MHD_Response *from_file(struct vic_imagebody *body)
{
    char etag[ETAG_SIZE];
    int fd = open_image(body->file, body->size, etag);
    struct MHD_Response *response;
    uint64_t first;

    if (fd < 0)
        return NULL;
    if (choose(body, etag, &first) == VIC_RANGE_UNSATISFIABLE) {
        close(fd);
        return unsatisfiable(body);
    }
    response = file_response(fd, body, first);
    describe(response, body, first, etag);
    return response;
}

/* Without a reader it is a HEAD: the body is not asked for. */
static ssize_t no_body(void *cls, uint64_t position, char *buffer, size_t max)
{
    (void)cls, (void)position, (void)buffer, (void)max;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static struct MHD_Response *from_image(struct vic_imagebody *body)
{
    struct vic_image *image = body->image;
    bool random = image && atomic_load(&image->random);
    const char *etag = random ? image->etag : "";
    struct MHD_Response *response;
    struct body *out;
    uint64_t first;
    enum vic_range_kind kind = choose(body, etag, &first);

    if (!random &&
        (kind != VIC_RANGE_PART || first > 0 || body->length > VIC_IMAGE_PREFIX)) {
        kind = VIC_RANGE_WHOLE;
        body->status = MHD_HTTP_OK;
        body->length = body->size;
        first = 0;
    }
    if (kind == VIC_RANGE_UNSATISFIABLE)
        return unsatisfiable(body);
    if (image && body->waiter) {
        body->reader =
            vic_drip_open(body->drips, image, first, body->length, body->waiter);
        if (!body->reader) {
            errno = EBUSY;
            return NULL;
        }
        out = vic_alloc(sizeof(*out));
        out->reader = body->reader;
        out->closing = body->closing;
        out->closing_arg = body->closing_arg;
        response = body_response(out, body);
    } else {
        response =
            MHD_create_response_from_callback(body->length, BLOCK, no_body, NULL, NULL);
    }
    describe(response, body, first, etag);
    return response;
}

struct MHD_Response *vic_imagebody_response(struct vic_imagebody *body)
{
    return body->file ? from_file(body) : from_image(body);
}
