/*
 * image: a disk image that is no plain file: what the image server needs of it.
 *
 * An image is shared by the route that names it and whoever made it; the last one that
 * lets go frees it. It and its readers may be used from any thread; a reader by one at a
 * time, but for stop().
 */
#ifndef VIC_IMAGE_H
#define VIC_IMAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VIC_IMAGE_ETAG 64

/* An image that goes out while it comes keeps back so many bytes of its end until all of it
 * is known to be sound: nobody ever has the whole of a bad one. */
#define VIC_IMAGE_HELD ((uint64_t)64 * 1024)

/* So much of an image's beginning can be had alone, also of one that goes out while it
 * comes: who downloads looks at its format first. */
#define VIC_IMAGE_PREFIX ((size_t)64 * 1024)

/* Who reads, and has to wait. Both are called under the reader's lock, wake() once after
 * each wait(). */
struct vic_image_waiter {
    void (*wait)(void *arg);
    void (*wake)(void *arg);
    void *arg;
};

struct vic_image_reader {
    /* The next bytes, 1 to `max` of them. 0: there are none yet; wait() was called. -1:
     * there will be none any more, the image cannot be had whole. */
    ssize_t (*read)(struct vic_image_reader *reader, void *buffer, size_t max);
    /* read() fails from now on, and waits no more. From any thread. */
    void (*stop)(struct vic_image_reader *reader);
    void (*close)(struct vic_image_reader *reader);
};

struct vic_image {
    atomic_uint refs;
    uint64_t size;             /* bytes */
    atomic_bool random;        /* any part can be had, again and again; may become so */
    char etag[VIC_IMAGE_ETAG]; /* with its quotes; of random ones */
    /* A reader of `length` bytes from `first` on; one that is not random has only its
     * beginning and the whole. `waiter` is copied. NULL: not now. */
    struct vic_image_reader *(*open)(struct vic_image *image, uint64_t first,
                                     uint64_t length,
                                     const struct vic_image_waiter *waiter);
    void (*free)(struct vic_image *image);
};

/* An image begins with one reference, its maker's. */
struct vic_image *vic_image_ref(struct vic_image *image);

/* NULL is fine. */
void vic_image_unref(struct vic_image *image);

#endif
