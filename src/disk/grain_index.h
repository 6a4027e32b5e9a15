/*
 * grain_index: where in a stream the grains of its disk are: a file of 8 bytes for each
 * 64 KiB of the disk, with holes where the disk has them. Memory is constant.
 */
#ifndef VIC_GRAIN_INDEX_H
#define VIC_GRAIN_INDEX_H

#include "batch.h"

struct vic_grain_index {
    int fd;
    uint32_t grain;    /* bytes of the disk in one */
    uint64_t capacity; /* of the disk */
    uint64_t size;     /* bytes of the whole stream; 0: not known yet */
};

struct vic_grain_place {
    uint64_t at;   /* byte of the stream where its data begin */
    uint32_t size; /* compressed; 0: it is a hole */
};

/* Writes down the batch's grains. */
int vic_grain_index_add(struct vic_grain_index *index, const struct vic_batch *batch,
                        struct vic_error *err);

/* -1: it cannot be read. */
int vic_grain_index_find(const struct vic_grain_index *index, uint64_t number,
                         struct vic_grain_place *place);

/* All grains are there: makes the file whole. Does not sync it. */
int vic_grain_index_finish(struct vic_grain_index *index, struct vic_error *err);

/* Reads grain and size of a whole one; capacity must be right. */
int vic_grain_index_load(struct vic_grain_index *index);

#endif
