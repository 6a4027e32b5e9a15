/*
 * grains: packs a VMDK's grains, as their bytes arrive, into batches.
 */
#ifndef VIC_GRAINS_H
#define VIC_GRAINS_H

#include "batch.h"
#include "vmdk_header.h"

struct vic_grains {
    struct vic_batches *batches;
    struct vic_batch *batch; /* being filled, or NULL */
};

/* Begins a grain of `size` compressed bytes at sector `lba`, whose record begins at
 * byte `at` of the stream. Fails only if the work was stopped. */
int vic_grains_begin(struct vic_grains *grains, const struct vic_vmdk_header *header,
                     uint64_t lba, uint32_t size, uint64_t at, struct vic_error *err);

/* More of its bytes; together `size`. */
void vic_grains_add(struct vic_grains *grains, const unsigned char *data, size_t size);

/* Submits what is there; the last grain is complete. */
void vic_grains_flush(struct vic_grains *grains);

#endif
