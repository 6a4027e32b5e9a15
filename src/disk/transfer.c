/*
 * transfer: puts the parts together, and decides which error is the first.
 */
#include "transfer.h"

#include "alloc.h"
#include "description.h"
#include "pipeline.h"
#include "plain.h"
#include "raw.h"
#include "spool.h"
#include "vmdk.h"

#include <pthread.h>
#include <unistd.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define READ_BACK (256 * 1024)

struct vic_transfer {
    struct vic_transfer_opts
        opts; /* its strings are copies, those in http are not kept */
    struct vic_description *description; /* of what goes into a spool, or NULL */
    struct vic_source *source;
    struct vic_raw *raw;
    struct vic_digest *disk_digest; /* NULL: not asked for */
    struct vic_pipeline *pipeline;
    struct vic_vmdk *vmdk; /* one of the two decoders */
    struct vic_plain *plain;
    struct vic_digest *stream_digest;
    pthread_t thread;

    /* The thread's until it is joined. */
    int code;
    struct vic_error err;
    struct vic_transfer_result result;

    /* The loop's, for the rate. */
    double rate_at;
    uint64_t rate_received;
    double rate;
};

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct vic_sink *decoder(struct vic_transfer *t)
{
    return t->vmdk ? vic_vmdk_sink(t->vmdk) : vic_plain_sink(t->plain);
}

/* The stream is what the caller said it would be. */
static int check_stream(struct vic_transfer *t, struct vic_error *err)
{
    uint64_t received = atomic_load(&t->source->received);
    const char *hex = vic_digest_hex(t->stream_digest, t->opts.expected_algorithm);

    if (t->opts.size && received != t->opts.size)
        return vic_error_set(err, VIC_FORMAT,
                             "the stream has %" PRIu64 " bytes, expected %" PRIu64,
                             received, t->opts.size);
    if (t->opts.expected && strcasecmp(t->opts.expected, hex) != 0)
        return vic_error_set(err, VIC_FORMAT, "the stream's %s is %s, expected %.128s",
                             vic_algorithm_name(t->opts.expected_algorithm), hex,
                             t->opts.expected);
    return 0;
}

/* Reads the stream to its sound end. */
static int receive(struct vic_transfer *t, struct vic_error *err)
{
    struct vic_sink *sink = vic_digest_sink(t->stream_digest);

    if (t->source->run(t->source, sink, err))
        return -1;
    /* Raw bytes have no end of their own; nothing else tells it from a cut. */
    if (t->plain && !t->source->framed && !t->opts.capacity && !t->opts.size)
        return vic_error_set(
            err, VIC_HTTP,
            "the server tells neither length nor end of the disk, and no "
            "capacity is given");
    if (sink->end(sink, err))
        return -1;
    return check_stream(t, err);
}

/* Grains that did not ascend can only be digested from the file. */
static int digest_file(struct vic_transfer *t, struct vic_error *err)
{
    struct vic_digest *digest = vic_digest_new(1u << VIC_SHA512, NULL);
    struct vic_sink *sink = vic_digest_sink(digest);
    unsigned char *buffer = vic_alloc(READ_BACK);
    uint64_t at = 0;
    int result = -1;

    while (at < t->result.capacity) {
        ssize_t n = pread(vic_raw_fd(t->raw), buffer, READ_BACK, (off_t)at);

        if (n <= 0) {
            vic_error_errno(err, n < 0 ? errno : EIO, "reading back %s", t->opts.output);
            goto out;
        }
        if (atomic_load(&t->source->stopped)) {
            vic_error_set(err, VIC_CANCELLED, "stopped");
            goto out;
        }
        if (sink->write(sink, buffer, (size_t)n, err))
            goto out;
        at += (uint64_t)n;
    }
    result = sink->end(sink, err);
    strcpy(t->result.sha512, vic_digest_hex(digest, VIC_SHA512));
out:
    free(buffer);
    vic_digest_free(digest);
    return result;
}

static int digest_disk(struct vic_transfer *t, struct vic_error *err)
{
    struct vic_sink *sink;

    if (!t->disk_digest)
        return 0;
    if (!vic_pipeline_in_order(t->pipeline))
        return digest_file(t, err);
    sink = vic_digest_sink(t->disk_digest);
    if (sink->end(sink, err))
        return -1;
    strcpy(t->result.sha512, vic_digest_hex(t->disk_digest, VIC_SHA512));
    return 0;
}

/* The disk is whole and on the way to be durable. */
static int conclude(struct vic_transfer *t, struct vic_error *err)
{
    unsigned i;

    t->result.capacity = vic_pipeline_capacity(t->pipeline);
    t->result.received = atomic_load(&t->source->received);
    t->result.written = vic_raw_written(t->raw);
    for (i = 0; i < VIC_ALGORITHMS; i++)
        strcpy(t->result.digests[i],
               vic_digest_hex(t->stream_digest, (enum vic_algorithm)i));
    if (digest_disk(t, err))
        return -1;
    if (atomic_load(&t->source->stopped))
        return vic_error_set(err, VIC_CANCELLED, "stopped");
    return vic_raw_commit(t->raw, err);
}

static void parts_free(struct vic_transfer *t)
{
    vic_pipeline_free(t->pipeline);
    vic_vmdk_free(t->vmdk);
    vic_plain_free(t->plain);
    vic_digest_free(t->stream_digest);
    vic_digest_free(t->disk_digest);
    vic_raw_free(t->raw);
}

/* On the transfer's thread: no Lua, nothing but *t. */
static void *transfer_run(void *arg)
{
    struct vic_transfer *t = arg;
    struct vic_error err;
    int received = receive(t, &t->err);

    /* What a worker found comes earlier in the stream than what the reader found. */
    t->code = received;
    if (vic_pipeline_finish(t->pipeline, received == 0, &err)) {
        t->code = -1;
        t->err = err;
    }
    if (t->code == 0)
        t->code = conclude(t, &t->err);
    if (t->code && atomic_load(&t->source->stopped))
        vic_error_set(&t->err, VIC_CANCELLED, "cancelled");
    if (t->code)
        vic_error_wrap(&t->err, "%s", t->source->name);
    vic_raw_free(t->raw); /* whoever hears of the end finds no .part any more */
    t->raw = NULL;
    t->opts.ended(t->opts.arg);
    return NULL;
}

/* The same for a spool, which does the rest itself. */
static void *spool_run(void *arg)
{
    struct vic_transfer *t = arg;

    t->code =
        vic_spool_fetch(t->opts.spool, &t->description->opts, &t->result, &t->err);
    t->opts.ended(t->opts.arg);
    return NULL;
}

static int start(struct vic_transfer *t, void *(*run)(void *), struct vic_error *err)
{
    if (pthread_create(&t->thread, NULL, run, t) != 0)
        return vic_error_set(err, VIC_INTERNAL, "no thread for the transfer");
    return 0;
}

static int spool_start(struct vic_transfer *t, const struct vic_transfer_opts *opts,
                       struct vic_error *err)
{
    struct vic_source *trial = opts->file ? vic_file_source_new(opts->file)
                                          : vic_http_source_new(&opts->http, err);

    if (!trial)
        return -1;
    trial->free(trial);
    vic_image_ref(vic_spool_image(opts->spool));
    t->description = vic_description_new(opts);
    return start(t, spool_run, err);
}

/* What the thread will need, in the order in which bytes pass. */
static int parts_new(struct vic_transfer *t, struct vic_error *err)
{
    struct vic_batches *batches;
    unsigned digests = t->opts.digests;

    t->raw = vic_raw_create(t->opts.output, err);
    if (!t->raw)
        return -1;
    if (t->opts.format == VIC_DISK_STREAM)
        vic_raw_take_any(t->raw);
    if (t->opts.sha512)
        t->disk_digest = vic_digest_new(1u << VIC_SHA512, NULL);
    t->pipeline = vic_pipeline_new(
        vic_raw_output(t->raw), t->disk_digest ? vic_digest_sink(t->disk_digest) : NULL);
    batches = vic_pipeline_batches(t->pipeline);
    if (t->opts.format == VIC_DISK_VMDK)
        t->vmdk = vic_vmdk_new(batches, t->opts.capacity);
    else
        t->plain = vic_plain_new(batches, t->opts.capacity);
    if (t->opts.expected)
        digests |= 1u << t->opts.expected_algorithm;
    t->stream_digest = vic_digest_new(digests, decoder(t));
    return 0;
}

struct vic_transfer *vic_transfer_start(const struct vic_transfer_opts *opts,
                                        struct vic_error *err)
{
    struct vic_transfer *t = vic_alloc(sizeof(*t));

    t->opts = *opts;
    t->opts.output = vic_strdup(opts->output);
    t->opts.expected = vic_strdup(opts->expected);
    if (opts->spool) {
        if (spool_start(t, opts, err))
            goto fail;
        return t;
    }
    t->source = opts->file ? vic_file_source_new(opts->file)
                           : vic_http_source_new(&opts->http, err);
    if (!t->source || parts_new(t, err))
        goto fail;
    memset(&t->opts.http, 0, sizeof(t->opts.http));
    t->rate_at = now();
    if (start(t, transfer_run, err))
        goto fail;
    return t;
fail:
    vic_transfer_free(t);
    return NULL;
}

void vic_transfer_cancel(struct vic_transfer *t)
{
    if (t->opts.spool) {
        vic_spool_stop(t->opts.spool);
        return;
    }
    t->source->stop(t->source);
    vic_pipeline_stop(t->pipeline);
}

void vic_transfer_progress(struct vic_transfer *t, struct vic_transfer_progress *progress)
{
    double time = now();
    double passed = time - t->rate_at;

    if (t->opts.spool) {
        vic_spool_progress(t->opts.spool, progress);
        return;
    }
    progress->received = atomic_load(&t->source->received);
    progress->position = vic_pipeline_position(t->pipeline);
    progress->capacity = vic_pipeline_capacity(t->pipeline);
    if (passed >= 0.5) {
        double rate = (double)(progress->received - t->rate_received) / passed;

        t->rate = t->rate_received ? 0.6 * t->rate + 0.4 * rate : rate;
        t->rate_at = time;
        t->rate_received = progress->received;
    }
    progress->rate = t->rate;
}

int vic_transfer_join(struct vic_transfer *t, struct vic_transfer_result *result,
                      struct vic_error *err)
{
    pthread_join(t->thread, NULL);
    if (t->code)
        *err = t->err;
    else
        *result = t->result;
    return t->code;
}

int vic_transfer_status(const struct vic_transfer *t)
{
    return t->opts.spool ? vic_spool_status(t->opts.spool) : t->source->status;
}

void vic_transfer_free(struct vic_transfer *t)
{
    if (!t)
        return;
    parts_free(t);
    if (t->description)
        vic_image_unref(vic_spool_image(t->opts.spool));
    vic_description_free(t->description);
    if (t->source)
        t->source->free(t->source);
    free((char *)t->opts.output);
    free((char *)t->opts.expected);
    free(t);
}
