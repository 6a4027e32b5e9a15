/*
 * Fuzz target: the VMDK decoder and the inflating of its grains, in one thread.
 *
 * The first byte of the input seeds the sizes of the pieces in which the rest is
 * written. However it is cut, the outcome must be the same, and nothing may be put
 * beyond the disk's end or twice.
 */
#include "batch.h"
#include "check.h"
#include "output.h"
#include "vmdk.h"

#include <libdeflate.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One run of the decoder: where batches come from and bytes go to. */
struct run {
    struct vic_batches batches; /* first, so that a vic_batches * is a run * */
    struct vic_output output;
    struct vic_batch *batch;
    bool taken;
    bool failed;
    uint64_t capacity;
    uint64_t puts; /* bytes */
    uint64_t sum;  /* of what was put, and where */
    struct vic_error err;
};

static struct libdeflate_decompressor *inflater;

static int run_sized(struct vic_batches *batches, uint64_t capacity,
                     struct vic_error *err)
{
    struct run *run = (struct run *)batches;

    (void)err;
    CHECK(run->capacity == 0 && capacity > 0);
    run->capacity = capacity;
    return 0;
}

static struct vic_batch *run_take(struct vic_batches *batches)
{
    struct run *run = (struct run *)batches;

    CHECK(run->capacity && !run->taken);
    if (run->failed)
        return NULL;
    run->taken = true;
    vic_batch_clear(run->batch);
    return run->batch;
}

static int run_put(struct vic_output *output, uint64_t offset, const unsigned char *data,
                   size_t size, struct vic_error *err)
{
    struct run *run = (struct run *)((char *)output - offsetof(struct run, output));
    size_t i;

    (void)err;
    CHECK(size > 0 && offset % 4096 == 0 && (uintptr_t)data % 4096 == 0);
    CHECK(offset < run->capacity && size <= run->capacity - offset);
    run->puts += size;
    run->sum = (run->sum ^ offset) * 0x100000001b3ull;
    for (i = 0; i < size; i++)
        run->sum = (run->sum ^ data[i]) * 0x100000001b3ull;
    return 0;
}

static void run_submit(struct vic_batches *batches, struct vic_batch *batch)
{
    struct run *run = (struct run *)batches;

    CHECK(run->taken && batch == run->batch && batch->count > 0);
    CHECK(batch->count <= VIC_BATCH_PIECES && batch->used <= VIC_BATCH_INPUT);
    run->taken = false;
    if (vic_batch_inflate(batch, inflater, &run->err) ||
        vic_batch_put(batch, &run->output, &run->err))
        run->failed = true;
}

/* Decodes in pieces of the sizes that `seed` gives; 0: all at once. */
static bool decode(struct run *run, const uint8_t *data, size_t size, unsigned seed)
{
    struct vic_vmdk *vmdk = vic_vmdk_new(&run->batches, 0);
    struct vic_sink *sink = vic_vmdk_sink(vmdk);
    struct vic_error err;
    int code = 0;

    while (size && code == 0) {
        size_t n = size;

        if (seed) {
            seed = seed * 1103515245u + 12345u;
            n = 1 + (seed >> 16) % 700;
            n = n < size ? n : size;
        }
        code = sink->write(sink, data, n, &err);
        data += n;
        size -= n;
    }
    if (code == 0)
        code = sink->end(sink, &err);
    CHECK(code == 0 || (err.message[0] && err.kind <= VIC_INTERNAL));
    vic_vmdk_free(vmdk);
    return code == 0 && !run->failed;
}

static bool run_once(struct run *run, const uint8_t *data, size_t size, unsigned seed)
{
    memset(run, 0, sizeof(*run));
    run->batches.sized = run_sized;
    run->batches.take = run_take;
    run->batches.submit = run_submit;
    run->output.put = run_put;
    run->batch = vic_batches_new(1, NULL, NULL);
    bool sound = decode(run, data, size, seed);
    vic_batches_free(run->batch, 1);
    return sound;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run whole, pieces;
    bool sound;

    if (!inflater)
        inflater = libdeflate_alloc_decompressor();
    if (size == 0)
        return 0;
    sound = run_once(&whole, data + 1, size - 1, 0);
    CHECK(run_once(&pieces, data + 1, size - 1, 1u + data[0]) == sound);
    if (sound) {
        CHECK(whole.puts == pieces.puts && whole.sum == pieces.sum);
        CHECK(whole.puts <= whole.capacity);
    }
    return 0;
}
