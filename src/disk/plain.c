/*
 * plain: bytes into batches of 1 MiB.
 */
#include "plain.h"

#include "alloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct vic_plain {
    struct vic_sink sink;
    struct vic_batches *batches;
    struct vic_batch *batch; /* being filled, or NULL */
    uint64_t capacity;
    uint64_t at;
};

static void submit(struct vic_plain *plain)
{
    struct vic_batch *batch = plain->batch;

    if (!batch)
        return;
    batch->pieces[0].size = (uint32_t)batch->used;
    batch->count = 1;
    plain->batch = NULL;
    plain->batches->submit(plain->batches, batch);
}

static int begin(struct vic_plain *plain, struct vic_error *err)
{
    if (plain->at == 0 && plain->capacity &&
        plain->batches->sized(plain->batches, plain->capacity, err))
        return -1;
    plain->batch = plain->batches->take(plain->batches);
    if (!plain->batch)
        return vic_error_set(err, VIC_CANCELLED, "stopped");
    memset(&plain->batch->pieces[0], 0, sizeof(plain->batch->pieces[0]));
    plain->batch->pieces[0].offset = plain->batch->pieces[0].at = plain->at;
    return 0;
}

static int plain_write(struct vic_sink *sink, const void *data, size_t size,
                       struct vic_error *err)
{
    struct vic_plain *plain = (struct vic_plain *)sink;
    const unsigned char *p = data;

    if (plain->capacity && size > plain->capacity - plain->at)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the stream goes on where the disk ends",
                             plain->capacity);
    while (size) {
        size_t n;

        if (!plain->batch && begin(plain, err))
            return -1;
        n = VIC_BATCH_OUTPUT - plain->batch->used;
        if (n > size)
            n = size;
        memcpy(plain->batch->input + plain->batch->used, p, n);
        plain->batch->used += n;
        plain->at += n;
        p += n;
        size -= n;
        if (plain->batch->used == VIC_BATCH_OUTPUT)
            submit(plain);
    }
    return 0;
}

static int plain_end(struct vic_sink *sink, struct vic_error *err)
{
    struct vic_plain *plain = (struct vic_plain *)sink;

    if (plain->at == 0)
        return vic_error_set(err, VIC_FORMAT, "byte 0: the stream is empty");
    if (plain->capacity && plain->at != plain->capacity)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the stream ends, the disk has %" PRIu64
                             " bytes",
                             plain->at, plain->capacity);
    submit(plain);
    return plain->capacity ? 0 : plain->batches->sized(plain->batches, plain->at, err);
}

struct vic_plain *vic_plain_new(struct vic_batches *batches, uint64_t capacity)
{
    struct vic_plain *plain = vic_alloc(sizeof(*plain));

    plain->sink.write = plain_write;
    plain->sink.end = plain_end;
    plain->batches = batches;
    plain->capacity = capacity;
    return plain;
}

void vic_plain_free(struct vic_plain *plain)
{
    free(plain);
}

struct vic_sink *vic_plain_sink(struct vic_plain *plain)
{
    return &plain->sink;
}
