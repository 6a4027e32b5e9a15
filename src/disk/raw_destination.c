/*
 * raw_destination: the stages end in a sparse raw file; the disk's digest is computed beside.
 */
#include "destination.h"

#include "alloc.h"
#include "rate.h"
#include "raw.h"
#include "stages.h"

#include <unistd.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READ_BACK (256 * 1024)

struct raw_destination {
    struct vic_destination destination; /* first */
    char *output;
    struct vic_stages *stages;
    struct vic_raw *raw;
    struct vic_digest *disk_digest; /* NULL: not asked for */
    struct vic_rate rate;
};

/* Grains that did not ascend can only be digested from the file. */
static int digest_file(struct raw_destination *d, struct vic_disk_result *result,
                       struct vic_error *err)
{
    struct vic_digest *digest = vic_digest_new(1u << VIC_SHA512, NULL);
    struct vic_sink *sink = vic_digest_sink(digest);
    unsigned char *buffer = vic_alloc(READ_BACK);
    uint64_t at = 0;
    int code = -1;

    while (at < result->capacity) {
        ssize_t n = pread(vic_raw_fd(d->raw), buffer, READ_BACK, (off_t)at);

        if (n <= 0) {
            vic_error_errno(err, n < 0 ? errno : EIO, "reading back %s", d->output);
            goto out;
        }
        if (vic_stages_stopped(d->stages)) {
            vic_error_set(err, VIC_CANCELLED, "stopped");
            goto out;
        }
        if (sink->write(sink, buffer, (size_t)n, err))
            goto out;
        at += (uint64_t)n;
    }
    code = sink->end(sink, err);
    strcpy(result->sha512, vic_digest_hex(digest, VIC_SHA512));
out:
    free(buffer);
    vic_digest_free(digest);
    return code;
}

static int digest_disk(struct raw_destination *d, struct vic_disk_result *result,
                       struct vic_error *err)
{
    struct vic_sink *sink;

    if (!d->disk_digest)
        return 0;
    if (!vic_stages_in_order(d->stages))
        return digest_file(d, result, err);
    sink = vic_digest_sink(d->disk_digest);
    if (sink->end(sink, err))
        return -1;
    strcpy(result->sha512, vic_digest_hex(d->disk_digest, VIC_SHA512));
    return 0;
}

/* The disk is whole and on the way to be durable. */
static int conclude(struct raw_destination *d, struct vic_disk_result *result,
                    struct vic_error *err)
{
    struct vic_disk_progress progress;
    unsigned i;

    vic_stages_progress(d->stages, &progress);
    result->capacity = progress.capacity;
    result->received = progress.received;
    result->written = vic_raw_written(d->raw);
    for (i = 0; i < VIC_ALGORITHMS; i++)
        strcpy(result->digests[i], vic_stages_digest(d->stages, (enum vic_algorithm)i));
    if (digest_disk(d, result, err))
        return -1;
    if (vic_stages_stopped(d->stages))
        return vic_error_set(err, VIC_CANCELLED, "stopped");
    return vic_raw_commit(d->raw, err);
}

static int raw_destination_run(struct vic_destination *destination,
                               struct vic_disk_result *result, struct vic_error *err)
{
    struct raw_destination *d = (struct raw_destination *)destination;
    int code = vic_stages_run(d->stages, err);

    if (code == 0 && conclude(d, result, err))
        code = vic_stages_fail(d->stages, err);
    vic_raw_free(d->raw); /* whoever hears of the end finds no .part any more */
    d->raw = NULL;
    return code;
}

static void raw_destination_stop(struct vic_destination *destination)
{
    vic_stages_stop(((struct raw_destination *)destination)->stages);
}

static void raw_destination_progress(struct vic_destination *destination,
                                     struct vic_disk_progress *progress)
{
    struct raw_destination *d = (struct raw_destination *)destination;

    vic_stages_progress(d->stages, progress);
    progress->rate = vic_rate_update(&d->rate, progress->fetched);
}

static int raw_destination_status(const struct vic_destination *destination)
{
    return vic_stages_status(((const struct raw_destination *)destination)->stages);
}

static void raw_destination_free(struct vic_destination *destination)
{
    struct raw_destination *d = (struct raw_destination *)destination;

    vic_stages_free(d->stages);
    vic_digest_free(d->disk_digest);
    vic_raw_free(d->raw);
    free(d->output);
    free(d);
}

/* What the thread will need, in the order in which bytes come. */
static int parts_new(struct raw_destination *d, const struct vic_description *stream,
                     bool sha512, struct vic_error *err)
{
    struct vic_sink *ordered = NULL;

    d->raw = vic_raw_create(d->output, err);
    if (!d->raw)
        return -1;
    if (stream->format == VIC_DISK_STREAM)
        vic_raw_take_any(d->raw);
    if (sha512) {
        d->disk_digest = vic_digest_new(1u << VIC_SHA512, NULL);
        ordered = vic_digest_sink(d->disk_digest);
    }
    d->stages = vic_stages_new(stream, vic_raw_output(d->raw), ordered, err);
    return d->stages ? 0 : -1;
}

struct vic_destination *vic_raw_destination_new(const struct vic_description *stream,
                                                const char *output, bool sha512,
                                                struct vic_error *err)
{
    struct raw_destination *d = vic_alloc(sizeof(*d));

    d->destination.run = raw_destination_run;
    d->destination.stop = raw_destination_stop;
    d->destination.progress = raw_destination_progress;
    d->destination.status = raw_destination_status;
    d->destination.free = raw_destination_free;
    d->output = vic_strdup(output);
    if (parts_new(d, stream, sha512, err)) {
        raw_destination_free(&d->destination);
        return NULL;
    }
    return &d->destination;
}
