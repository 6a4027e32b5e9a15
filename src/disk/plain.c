/*
 * plain: bytes into batches of 1 MiB.
 */
#include "plain.h"

#include "alloc.h"
#include "trailer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512u

struct vic_plain {
    struct vic_sink sink;
    struct vic_batches *batches;
    struct vic_batch *batch; /* being filled, or NULL */
    enum vic_plain_kind kind;
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

static int plain_begin(struct vic_plain *plain, struct vic_error *err)
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

static int goes_on(const struct vic_plain *plain, struct vic_error *err)
{
    return vic_error_set(err, VIC_FORMAT,
                         "byte %" PRIu64 ": the stream goes on where the disk ends",
                         plain->capacity);
}

/* Of the stream of a disk whose capacity is known: perhaps with a footer. */
static uint64_t most_bytes(const struct vic_plain *plain)
{
    return plain->capacity + (plain->kind == VIC_PLAIN_GUESSED ? VIC_TRAILER : 0);
}

static int plain_write(struct vic_sink *sink, const void *data, size_t size,
                       struct vic_error *err)
{
    struct vic_plain *plain = (struct vic_plain *)sink;
    const unsigned char *p = data;

    if (plain->capacity && size > most_bytes(plain) - plain->at)
        return goes_on(plain, err);
    while (size) {
        size_t n;

        /* A full one waits for the next byte: the end may have to be cut off it. */
        if (plain->batch && plain->batch->used == VIC_BATCH_OUTPUT)
            submit(plain);
        if (!plain->batch && plain_begin(plain, err))
            return -1;
        n = VIC_BATCH_OUTPUT - plain->batch->used;
        if (n > size)
            n = size;
        memcpy(plain->batch->input + plain->batch->used, p, n);
        plain->batch->used += n;
        plain->at += n;
        p += n;
        size -= n;
        if (plain->batch->used == VIC_BATCH_OUTPUT && plain->kind != VIC_PLAIN_GUESSED)
            submit(plain);
    }
    return 0;
}

/* What came is a disk; a VHD's footer is cut off. All sectors are whole, and so are those
 * of the last batch. */
static int check_end(struct vic_plain *plain, struct vic_error *err)
{
    const struct vic_batch *batch = plain->batch;
    uint64_t disk = plain->at;

    if (plain->kind == VIC_PLAIN_BYTES)
        return 0;
    if (plain->at % SECTOR)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the stream ends within a sector of %u "
                             "bytes: this is no raw disk, or not all of it",
                             plain->at, SECTOR);
    if (plain->kind == VIC_PLAIN_DISK)
        return 0;
    if (vic_trailer_check(batch->input + batch->used - VIC_TRAILER, plain->at, &disk,
                          err))
        return -1;
    if (disk == 0)
        return vic_error_set(err, VIC_FORMAT, "byte 0: a VHD's footer without a disk");
    plain->batch->used -= plain->at - disk;
    plain->at = disk;
    if (plain->batch->used == 0)
        plain->batch = NULL; /* the last one: the pool needs it no more */
    return 0;
}

static int plain_end(struct vic_sink *sink, struct vic_error *err)
{
    struct vic_plain *plain = (struct vic_plain *)sink;

    if (plain->at == 0)
        return vic_error_set(err, VIC_FORMAT, "byte 0: the stream is empty");
    if (check_end(plain, err))
        return -1;
    if (plain->capacity && plain->at > plain->capacity)
        return goes_on(plain, err);
    if (plain->capacity && plain->at < plain->capacity)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the stream ends, the disk has %" PRIu64
                             " bytes",
                             plain->at, plain->capacity);
    submit(plain);
    return plain->capacity ? 0 : plain->batches->sized(plain->batches, plain->at, err);
}

struct vic_plain *vic_plain_new(struct vic_batches *batches, enum vic_plain_kind kind,
                                uint64_t capacity)
{
    struct vic_plain *plain = vic_alloc(sizeof(*plain));

    plain->sink.write = plain_write;
    plain->sink.end = plain_end;
    plain->batches = batches;
    plain->kind = kind;
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
