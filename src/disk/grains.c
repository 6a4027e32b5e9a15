/*
 * grains: a batch is full when its output, its input or its list is.
 */
#include "grains.h"

#include <string.h>

static bool is_full(const struct vic_batch *batch, uint32_t grain, uint32_t size)
{
    return batch->count == VIC_BATCH_PIECES || batch->used + size > VIC_BATCH_FULL ||
           (batch->count + 1) * (uint64_t)grain > VIC_BATCH_OUTPUT;
}

int vic_grains_begin(struct vic_grains *grains, const struct vic_vmdk_header *header,
                     uint64_t lba, uint32_t size, uint64_t at, struct vic_error *err)
{
    uint32_t whole = (uint32_t)(header->grain * VIC_SECTOR);
    struct vic_batch *batch;
    struct vic_piece *piece;

    if (grains->batch && is_full(grains->batch, whole, size))
        vic_grains_flush(grains);
    if (!grains->batch) {
        grains->batch = grains->batches->take(grains->batches);
        if (!grains->batch)
            return vic_error_set(err, VIC_CANCELLED, "stopped");
        grains->batch->deflated = true;
    }
    batch = grains->batch;
    piece = &batch->pieces[batch->count];
    piece->offset = lba * VIC_SECTOR;
    piece->at = at;
    piece->input = (uint32_t)batch->used;
    piece->input_size = size;
    piece->whole = whole;
    piece->output = batch->count * whole;
    piece->size = whole;
    if (header->capacity - lba < header->grain)
        piece->size = (uint32_t)((header->capacity - lba) * VIC_SECTOR);
    batch->count++;
    return 0;
}

void vic_grains_add(struct vic_grains *grains, const unsigned char *data, size_t size)
{
    struct vic_batch *batch = grains->batch;

    memcpy(batch->input + batch->used, data, size);
    batch->used += size;
}

void vic_grains_flush(struct vic_grains *grains)
{
    if (grains->batch)
        grains->batches->submit(grains->batches, grains->batch);
    grains->batch = NULL;
}
