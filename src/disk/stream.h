/*
 * stream: a disk at its source, as an image that takes no space here. Whoever opens it
 * starts a read of the source on threads of its own; the bytes of the disk come out in
 * order while they arrive. Opened again, it reads again.
 *
 * Its last block comes out only after the stream's sound end, so that nobody ever gets
 * all the bytes of a disk that is not whole and sound.
 *
 * Any thread. Two read it at once at most; whoever comes third ends the first.
 */
#ifndef VIC_STREAM_H
#define VIC_STREAM_H

#include "description.h"
#include "image.h"
#include "outcome.h"

struct vic_stream;

struct vic_stream_progress {
    struct vic_disk_progress now;  /* of the read that is furthest, or the last one */
    unsigned reading;              /* reads of the whole under way */
    unsigned reads, sound, failed; /* begun; ended well; ended otherwise */
    uint64_t received, passed; /* of all reads: bytes of the streams, and of the disk */
    /* Of the last sound read: digests of the stream. */
    char digests[VIC_ALGORITHMS][VIC_DIGEST_HEX];
    /* Of the last read that failed; not of those that nobody wanted any more. */
    struct vic_error err;
    int status; /* HTTP status if that was it, else 0 */
};

/* `d` is copied; its capacity is needed. NULL
 * (kind invalid): it cannot be read like that. */
struct vic_stream *vic_stream_new(const struct vic_description *d, struct vic_error *err);

/* For the image server; it holds one reference, the maker's. */
struct vic_image *vic_stream_image(struct vic_stream *stream);

void vic_stream_progress(struct vic_stream *stream, struct vic_stream_progress *progress);

/* Ends the reads under way; there will be no others. */
void vic_stream_stop(struct vic_stream *stream);

#endif
