/*
 * imagebody: the answer that carries a disk image or a part of it. One thread at a time.
 */
#ifndef VIC_IMAGEBODY_H
#define VIC_IMAGEBODY_H

#include <stdint.h>

struct MHD_Response;

struct vic_imagebody {
    const char *file;     /* a regular file */
    uint64_t size;        /* bytes it must have */
    const char *range;    /* the request's Range, or NULL */
    const char *if_range; /* the request's If-Range, or NULL */
    unsigned status;      /* set: 200, 206 or 416 */
    uint64_t length;      /* set: bytes of the answer's body */
};

/* The answer to queue and destroy; it keeps the file open. NULL: errno says why there is
 * no such file; ESTALE: it has another size. */
struct MHD_Response *vic_imagebody_response(struct vic_imagebody *body);

#endif
