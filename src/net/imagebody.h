/*
 * imagebody: the answer that carries a disk image or a part of it. One thread at a time.
 */
#ifndef VIC_IMAGEBODY_H
#define VIC_IMAGEBODY_H

#include <stdint.h>

struct MHD_Response;
struct vic_image;
struct vic_image_reader;
struct vic_image_waiter;
struct vic_drips;

#define VIC_IMAGEBODY_SUM 129 /* SHA-512 in hex, and its NUL */

struct vic_imagebody {
    /* A regular file, or an image, or neither: for a HEAD. They outlive the answer. */
    const char *file;
    struct vic_image *image;
    uint64_t size;        /* bytes it must have */
    const char *range;    /* the request's Range, or NULL */
    const char *if_range; /* the request's If-Range, or NULL */
    /* Of an image: how to wait for its bytes. NULL: its bytes are not wanted. */
    const struct vic_image_waiter *waiter;
    struct vic_drips *drips; /* then: their ticks, for while there are no bytes */
    /* Gets the SHA-512 of a body that is the whole, with its last byte; NULL: none is
     * computed. Not touched after the answer was sent. */
    char *sha512;

    unsigned status; /* set: 200, 206 or 416 */
    uint64_t length; /* set: bytes of the answer's body */
    /* Set: who gives an image's bytes (of net/drip), or NULL; closed after
     * closing(closing_arg). */
    struct vic_image_reader *reader;
    void (*closing)(void *arg);
    void *closing_arg;
};

/* The answer to queue and destroy; it keeps the file open. NULL: errno says why there is
 * no such file; ESTALE: it has another size; EBUSY: an image cannot be read now. */
struct MHD_Response *vic_imagebody_response(struct vic_imagebody *body);

#endif
