#include "stages.h"

#include "alloc.h"
#include "gunzip.h"
#include "pipeline.h"
#include "plain.h"
#include "vmdk.h"

#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>

struct vic_stages {
    uint64_t capacity, size;
    enum vic_algorithm expected_algorithm;
    char *expected;
    struct vic_source *source;
    struct vic_pipeline *pipeline;
    struct vic_vmdk *vmdk; /* one of the two decoders */
    struct vic_plain *plain;
    struct vic_gunzip *gunzip; /* before the decoder, or NULL */
    struct vic_digest *digest;
    struct vic_sink *tap;
    bool http;
};

/* The stream is what the caller said it would be. */
static int stages_check_stream(struct vic_stages *s, struct vic_error *err)
{
    uint64_t received = atomic_load(&s->source->received);
    const char *hex = vic_digest_hex(s->digest, s->expected_algorithm);

    if (s->size && received != s->size)
        return vic_error_set(err, VIC_FORMAT,
                             "the stream has %" PRIu64 " bytes, expected %" PRIu64,
                             received, s->size);
    if (s->expected && strcasecmp(s->expected, hex) != 0)
        return vic_error_set(err, VIC_FORMAT, "the stream's %s is %s, expected %.128s",
                             vic_algorithm_name(s->expected_algorithm), hex, s->expected);
    return 0;
}

/* Reads the stream to its sound end. */
static int receive(struct vic_stages *s, struct vic_error *err)
{
    struct vic_sink *sink = s->tap ? s->tap : vic_digest_sink(s->digest);

    if (s->source->run(s->source, sink, err))
        return -1;
    /* Raw bytes have no end of their own; nothing else tells it from a cut. */
    if (s->plain && !s->source->framed && !s->capacity && !s->size)
        return vic_error_set(err, VIC_HTTP,
                             "the server tells neither length nor end of the disk, and "
                             "no capacity is given");
    if (sink->end(sink, err))
        return -1;
    return stages_check_stream(s, err);
}

int vic_stages_run(struct vic_stages *s, struct vic_error *err)
{
    struct vic_error earlier;
    int code = receive(s, err);

    /* A worker's error is earlier in the stream than the reader's. */
    if (vic_pipeline_finish(s->pipeline, code == 0, &earlier)) {
        code = -1;
        *err = earlier;
    }
    return code ? vic_stages_fail(s, err) : 0;
}

int vic_stages_fail(struct vic_stages *s, struct vic_error *err)
{
    if (vic_stages_stopped(s))
        vic_error_set(err, VIC_CANCELLED, "cancelled");
    vic_error_wrap(err, "%s", s->source->name);
    return -1;
}

void vic_stages_tap(struct vic_stages *s, struct vic_sink *sink)
{
    s->tap = sink;
}

struct vic_sink *vic_stages_head(struct vic_stages *s)
{
    return vic_digest_sink(s->digest);
}

void vic_stages_watch(struct vic_stages *s, struct vic_batch_watcher *watcher)
{
    vic_pipeline_watch(s->pipeline, watcher);
}

void vic_stages_resume(struct vic_stages *s, const char *file, const char *etag)
{
    if (s->http)
        vic_http_source_resume(s->source, file, etag);
}

const char *vic_stages_etag(const struct vic_stages *s)
{
    return s->source->etag;
}

void vic_stages_insist_on_order(struct vic_stages *s)
{
    vic_pipeline_insist_on_order(s->pipeline);
}

void vic_stages_stop(struct vic_stages *s)
{
    s->source->stop(s->source);
    vic_pipeline_stop(s->pipeline);
}

bool vic_stages_stopped(const struct vic_stages *s)
{
    return atomic_load(&s->source->stopped);
}

bool vic_stages_in_order(const struct vic_stages *s)
{
    return vic_pipeline_in_order(s->pipeline);
}

void vic_stages_progress(struct vic_stages *s, struct vic_disk_progress *progress)
{
    uint64_t stored;

    progress->received = atomic_load(&s->source->received);
    stored = atomic_load(&s->source->stored); /* after `received`, as they are set */
    progress->fetched = progress->received > stored ? progress->received - stored : 0;
    progress->position = vic_pipeline_position(s->pipeline);
    progress->capacity = vic_pipeline_capacity(s->pipeline);
}

int vic_stages_status(const struct vic_stages *s)
{
    return s->source->status;
}

const char *vic_stages_digest(const struct vic_stages *s, enum vic_algorithm algorithm)
{
    return vic_digest_hex(s->digest, algorithm);
}

static enum vic_plain_kind plain_kind(const struct vic_description *d)
{
    if (d->format == VIC_DISK_STREAM)
        return VIC_PLAIN_BYTES;
    return d->guessed ? VIC_PLAIN_GUESSED : VIC_PLAIN_DISK;
}

struct vic_stages *vic_stages_new(const struct vic_description *d,
                                  struct vic_output *output, struct vic_sink *ordered,
                                  struct vic_error *err)
{
    struct vic_source *source = vic_description_source(d, err);
    unsigned digests = d->digests;
    struct vic_batches *batches;
    struct vic_sink *decoder;
    struct vic_stages *s;

    if (!source)
        return NULL;
    s = vic_alloc(sizeof(*s));
    s->source = source;
    s->http = !d->file && !d->zeros;
    s->capacity = d->capacity;
    s->size = d->size;
    s->expected_algorithm = d->expected_algorithm;
    s->expected = vic_strdup(d->expected);
    if (d->expected)
        digests |= 1u << d->expected_algorithm;
    s->pipeline = vic_pipeline_new(output, ordered);
    batches = vic_pipeline_batches(s->pipeline);
    if (d->format == VIC_DISK_VMDK)
        s->vmdk = vic_vmdk_new(batches, d->capacity);
    else
        s->plain = vic_plain_new(batches, plain_kind(d), d->capacity);
    decoder = s->vmdk ? vic_vmdk_sink(s->vmdk) : vic_plain_sink(s->plain);
    if (d->gzip) {
        s->gunzip = vic_gunzip_new(decoder);
        decoder = vic_gunzip_sink(s->gunzip);
    }
    s->digest = vic_digest_new(digests, decoder);
    return s;
}

void vic_stages_free(struct vic_stages *s)
{
    if (!s)
        return;
    vic_pipeline_free(s->pipeline);
    vic_vmdk_free(s->vmdk);
    vic_plain_free(s->plain);
    vic_digest_free(s->digest);
    vic_gunzip_free(s->gunzip);
    s->source->free(s->source);
    free(s->expected);
    free(s);
}
