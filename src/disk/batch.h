/*
 * batch: what decoders cut a stream into, and workers turn into a disk's bytes.
 *
 * A batch is one thread's at a time: the decoder fills it, a worker inflates and
 * puts it, the ordered stage reads it. A decoder knows nothing of threads: it
 * takes an empty batch, fills it and submits it, by the calls in vic_batches.
 */
#ifndef VIC_BATCH_H
#define VIC_BATCH_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the disk in a batch at most, and room for bytes of the stream. */
#define VIC_BATCH_OUTPUT (1u << 20)
#define VIC_BATCH_INPUT  (2 * VIC_BATCH_OUTPUT)
/* A batch with so many bytes of the stream takes no further grain. Only one grain that
 * is larger by itself goes beyond; so most of the room is never touched, and takes no
 * memory. */
#define VIC_BATCH_FULL   (512u << 10)
#define VIC_BATCH_PIECES 256u

struct libdeflate_decompressor;
struct vic_output;

/* A piece of the disk: one grain, or a run of plain bytes. */
struct vic_piece {
    uint64_t offset; /* where it belongs, bytes from the disk's start */
    uint64_t at;     /* where its record begins in the stream, for messages */
    uint32_t input;  /* where it begins in the batch's input */
    uint32_t input_size;
    uint32_t output; /* where it goes in the batch's output (deflated only) */
    uint32_t whole;  /* bytes it inflates to, or ... */
    uint32_t size;   /* ... exactly those that lie on the disk: the short last grain */
};

struct vic_batch {
    struct vic_batch *next; /* whoever holds the batch may use it */
    void *owner;            /* the pipeline it goes back to ... */
    void (*run)(struct vic_batch *batch,
                struct libdeflate_decompressor *inflater); /* ... by a worker */
    uint64_t number;       /* 0, 1, 2 ... in the stream's order */
    unsigned char *input;  /* VIC_BATCH_INPUT bytes, page aligned */
    unsigned char *output; /* VIC_BATCH_OUTPUT bytes, page aligned */
    size_t used;           /* bytes of input */
    unsigned count;
    bool deflated; /* else the input is the disk's bytes */
    struct vic_piece pieces[VIC_BATCH_PIECES];
};

/* Where a decoder gets its batches from, and gives them to. */
struct vic_batches {
    /* The disk's size, before the first batch is submitted; may be left out if
     * only the end tells it. */
    int (*sized)(struct vic_batches *batches, uint64_t capacity, struct vic_error *err);
    /* An empty batch; waits for one. NULL if the work was stopped or has failed. */
    struct vic_batch *(*take)(struct vic_batches *batches);
    void (*submit)(struct vic_batches *batches, struct vic_batch *batch);
};

/* An array of `count` batches. What of their memory is never filled is never there. */
struct vic_batch *vic_batches_new(unsigned count, void *owner,
                                  void (*run)(struct vic_batch *batch,
                                              struct libdeflate_decompressor *inflater));
void vic_batches_free(struct vic_batch *batches, unsigned count);

/* Makes it empty. */
void vic_batch_clear(struct vic_batch *batch);

/* The disk's bytes of piece `i`, once the batch is inflated. */
const unsigned char *vic_batch_data(const struct vic_batch *batch, unsigned i);

/* Inflates every piece. The error names the byte of the stream. */
int vic_batch_inflate(struct vic_batch *batch, struct libdeflate_decompressor *inflater,
                      struct vic_error *err);

/* Puts every piece, neighbours in one call. */
int vic_batch_put(const struct vic_batch *batch, struct vic_output *output,
                  struct vic_error *err);

#endif
