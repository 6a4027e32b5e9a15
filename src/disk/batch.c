/*
 * batch: memory of a batch, and what a worker does with a full one.
 *
 * The buffers are mapped, not allocated: they go back to the system with the
 * transfer, and pages that a well compressed stream never fills are never there.
 */
#include "batch.h"

#include "alloc.h"
#include "output.h"

#include <libdeflate.h>

#include <sys/mman.h>

#include <inttypes.h>
#include <stdlib.h>

static unsigned char *pages_new(size_t size)
{
    void *p =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        abort();
    return p;
}

/* One huge page where the system has them: direct writes look up every page they take
 * bytes from. What is mapped beyond it on both sides is given back. */
static unsigned char *huge_page_new(void)
{
    unsigned char *p = pages_new(2 * (size_t)VIC_BATCH_OUTPUT);
    size_t before = -(uintptr_t)p % VIC_BATCH_OUTPUT;

    if (before)
        munmap(p, before);
    p += before;
    munmap(p + VIC_BATCH_OUTPUT, VIC_BATCH_OUTPUT - before);
    madvise(p, VIC_BATCH_OUTPUT, MADV_HUGEPAGE);
    return p;
}

struct vic_batch *vic_batch_new(void *owner,
                                void (*run)(struct vic_batch *batch,
                                            struct libdeflate_decompressor *inflater))
{
    struct vic_batch *batch = vic_alloc(sizeof(*batch));

    batch->owner = owner;
    batch->run = run;
    batch->input = pages_new(VIC_BATCH_INPUT);
    batch->output = huge_page_new();
    return batch;
}

void vic_batch_free(struct vic_batch *batch)
{
    if (!batch)
        return;
    munmap(batch->input, VIC_BATCH_INPUT);
    munmap(batch->output, VIC_BATCH_OUTPUT);
    free(batch);
}

void vic_batch_clear(struct vic_batch *batch)
{
    batch->next = NULL;
    batch->used = 0;
    batch->count = 0;
    batch->deflated = false;
}

const unsigned char *vic_batch_data(const struct vic_batch *batch, unsigned i)
{
    const struct vic_piece *piece = &batch->pieces[i];

    return batch->deflated ? batch->output + piece->output : batch->input + piece->input;
}

static int inflate_piece(const struct vic_batch *batch, const struct vic_piece *piece,
                         struct libdeflate_decompressor *inflater, struct vic_error *err)
{
    size_t in = 0;
    size_t out = 0;
    enum libdeflate_result result = libdeflate_zlib_decompress_ex(
        inflater, batch->input + piece->input, piece->input_size,
        batch->output + piece->output, piece->whole, &in, &out);

    if (result == LIBDEFLATE_INSUFFICIENT_SPACE)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the grain inflates to more than %" PRIu32
                             " bytes",
                             piece->at, piece->whole);
    if (result != LIBDEFLATE_SUCCESS)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the grain is damaged (bad zlib data or "
                             "checksum)",
                             piece->at);
    if (in != piece->input_size)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the grain has %zu bytes after the end of "
                             "its zlib data",
                             piece->at, piece->input_size - in);
    if (out != piece->whole && out != piece->size)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the grain inflates to %zu bytes, not "
                             "%" PRIu32,
                             piece->at, out, piece->size);
    return 0;
}

int vic_batch_inflate(struct vic_batch *batch, struct libdeflate_decompressor *inflater,
                      struct vic_error *err)
{
    unsigned i;

    if (!batch->deflated)
        return 0;
    for (i = 0; i < batch->count; i++)
        if (inflate_piece(batch, &batch->pieces[i], inflater, err))
            return -1;
    return 0;
}

int vic_batch_put(const struct vic_batch *batch, struct vic_output *output,
                  struct vic_error *err)
{
    unsigned first;
    unsigned i;

    for (first = 0; first < batch->count; first = i) {
        const unsigned char *data = vic_batch_data(batch, first);
        uint64_t offset = batch->pieces[first].offset;
        size_t size = batch->pieces[first].size;

        for (i = first + 1; i < batch->count; i++) {
            if (batch->pieces[i].offset != offset + size ||
                vic_batch_data(batch, i) != data + size)
                break;
            size += batch->pieces[i].size;
        }
        if (output->put(output, offset, data, size, err))
            return -1;
    }
    return 0;
}
