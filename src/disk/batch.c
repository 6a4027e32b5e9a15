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

#define HUGE_PAGE (2u << 20) /* where the system has them */

/* `size` bytes, a multiple of huge pages, that begin on one. */
static unsigned char *pages_new(size_t size)
{
    size_t room = size + HUGE_PAGE;
    unsigned char *p =
        mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t before;

    if (p == MAP_FAILED)
        abort();
    before = -(uintptr_t)p % HUGE_PAGE;
    if (before)
        munmap(p, before);
    munmap(p + before + size, HUGE_PAGE - before);
    return p + before;
}

static size_t outputs_size(unsigned count)
{
    size_t size = (size_t)count * VIC_BATCH_OUTPUT;

    return size + -size % HUGE_PAGE;
}

struct vic_batch *vic_batches_new(unsigned count, void *owner,
                                  void (*run)(struct vic_batch *batch,
                                              struct libdeflate_decompressor *inflater))
{
    struct vic_batch *batches = vic_alloc(count * sizeof(*batches));
    unsigned char *input = pages_new((size_t)count * VIC_BATCH_INPUT);
    unsigned char *output = pages_new(outputs_size(count));
    unsigned i;

    /* Direct writes look up every page they take bytes from; but what is never filled
     * shall not be there because its neighbour is. */
    madvise(input, (size_t)count * VIC_BATCH_INPUT, MADV_NOHUGEPAGE);
    madvise(output, outputs_size(count), MADV_HUGEPAGE);
    for (i = 0; i < count; i++) {
        batches[i].owner = owner;
        batches[i].run = run;
        batches[i].input = input + (size_t)i * VIC_BATCH_INPUT;
        batches[i].output = output + (size_t)i * VIC_BATCH_OUTPUT;
    }
    return batches;
}

void vic_batches_free(struct vic_batch *batches, unsigned count)
{
    munmap(batches->input, (size_t)count * VIC_BATCH_INPUT);
    munmap(batches->output, outputs_size(count));
    free(batches);
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
