/*
 * plain: the decoder of streams that are the raw disk itself.
 */
#ifndef VIC_PLAIN_H
#define VIC_PLAIN_H

#include "batch.h"
#include "sink.h"

struct vic_plain;

enum vic_plain_kind {
    VIC_PLAIN_BYTES,   /* any */
    VIC_PLAIN_DISK,    /* whole sectors */
    VIC_PLAIN_GUESSED, /* a disk for want of a header; its end is looked at, too */
};

/* `capacity` is what the disk must have, in bytes, or 0: what comes is the disk. */
struct vic_plain *vic_plain_new(struct vic_batches *batches, enum vic_plain_kind kind,
                                uint64_t capacity);
void vic_plain_free(struct vic_plain *plain);

struct vic_sink *vic_plain_sink(struct vic_plain *plain);

#endif
