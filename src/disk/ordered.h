/*
 * ordered: what needs a disk's bytes in order gets them, hole by hole and piece by piece.
 */
#ifndef VIC_ORDERED_H
#define VIC_ORDERED_H

#include "batch.h"
#include "sink.h"

#include <stdatomic.h>

/* Gets every batch once it is inflated, in the stream's order, one at a time. */
struct vic_batch_watcher {
    int (*see)(struct vic_batch_watcher *watcher, const struct vic_batch *batch,
               struct vic_error *err);
};

/* One thread's at a time. */
struct vic_ordered {
    struct vic_sink *sink;             /* gets every byte, zeros included; may be NULL */
    struct vic_batch_watcher *watcher; /* may be NULL */
    const atomic_bool *ended;          /* nobody wants the rest */
    uint64_t at;                       /* bytes of the disk that the sink has */
    bool ascending;                    /* pieces that do not ascend are an error */
    bool disordered; /* they did not: the sink has seen nothing usable */
};

/* The next batch, in the stream's order. */
int vic_ordered_add(struct vic_ordered *o, const struct vic_batch *batch,
                    struct vic_error *err);

/* The sink gets zeros until it has `until` bytes. */
int vic_ordered_fill(struct vic_ordered *o, uint64_t until, struct vic_error *err);

#endif
