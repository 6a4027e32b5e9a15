/*
 * transfer: puts the parts together, and decides which error is the first.
 */
#include "transfer.h"

#include "alloc.h"
#include "description.h"
#include "rate.h"
#include "raw.h"
#include "spool.h"
#include "stages.h"

#include <pthread.h>
#include <unistd.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READ_BACK (256 * 1024)

struct vic_transfer {
    struct vic_transfer_opts opts; /* of its strings only `output` is kept, a copy */
    struct vic_description *description; /* of what goes into a spool, or NULL */
    atomic_bool cancelled;               /* the same */
    struct vic_stages *stages;           /* of what does not */
    struct vic_raw *raw;
    struct vic_digest *disk_digest; /* NULL: not asked for */
    pthread_t thread;

    /* The thread's until it is joined. */
    int code;
    struct vic_error err;
    struct vic_disk_result result;

    struct vic_rate rate; /* the loop's */
};

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
        if (vic_stages_stopped(t->stages)) {
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
    if (!vic_stages_in_order(t->stages))
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
    struct vic_disk_progress progress;
    unsigned i;

    vic_stages_progress(t->stages, &progress);
    t->result.capacity = progress.capacity;
    t->result.received = progress.received;
    t->result.written = vic_raw_written(t->raw);
    for (i = 0; i < VIC_ALGORITHMS; i++)
        strcpy(t->result.digests[i], vic_stages_digest(t->stages, (enum vic_algorithm)i));
    if (digest_disk(t, err))
        return -1;
    if (vic_stages_stopped(t->stages))
        return vic_error_set(err, VIC_CANCELLED, "stopped");
    return vic_raw_commit(t->raw, err);
}

/* On the transfer's thread: no Lua, nothing but *t. */
static void *transfer_run(void *arg)
{
    struct vic_transfer *t = arg;

    t->code = vic_stages_run(t->stages, &t->err);
    if (t->code == 0 && conclude(t, &t->err))
        t->code = vic_stages_fail(t->stages, &t->err);
    vic_raw_free(t->raw); /* whoever hears of the end finds no .part any more */
    t->raw = NULL;
    t->opts.ended(t->opts.arg);
    return NULL;
}

/* The same for a spool, which does the rest itself. */
static void *spool_run(void *arg)
{
    struct vic_transfer *t = arg;

    t->code = vic_spool_fetch(t->opts.spool, t->description, &t->cancelled, &t->result,
                              &t->err);
    t->opts.ended(t->opts.arg);
    return NULL;
}

static int transfer_begin(struct vic_transfer *t, void *(*run)(void *),
                          struct vic_error *err)
{
    if (pthread_create(&t->thread, NULL, run, t) != 0)
        return vic_error_set(err, VIC_INTERNAL, "no thread for the transfer");
    return 0;
}

static int spool_start(struct vic_transfer *t, const struct vic_transfer_opts *opts,
                       struct vic_error *err)
{
    if (vic_description_check(&opts->stream, err))
        return -1;
    vic_image_ref(vic_spool_image(opts->spool));
    t->description = vic_description_copy(&opts->stream);
    return transfer_begin(t, spool_run, err);
}

/* What the thread will need, in the order in which bytes come. */
static int parts_new(struct vic_transfer *t, const struct vic_transfer_opts *opts,
                     struct vic_error *err)
{
    struct vic_sink *ordered = NULL;

    t->raw = vic_raw_create(opts->output, err);
    if (!t->raw)
        return -1;
    if (opts->stream.format == VIC_DISK_STREAM)
        vic_raw_take_any(t->raw);
    if (opts->sha512) {
        t->disk_digest = vic_digest_new(1u << VIC_SHA512, NULL);
        ordered = vic_digest_sink(t->disk_digest);
    }
    t->stages = vic_stages_new(&opts->stream, vic_raw_output(t->raw), ordered, err);
    return t->stages ? 0 : -1;
}

struct vic_transfer *vic_transfer_start(const struct vic_transfer_opts *opts,
                                        struct vic_error *err)
{
    struct vic_transfer *t = vic_alloc(sizeof(*t));

    t->opts = *opts;
    t->opts.output = vic_strdup(opts->output);
    if (opts->spool) {
        if (spool_start(t, opts, err))
            goto fail;
        return t;
    }
    if (parts_new(t, opts, err) || transfer_begin(t, transfer_run, err))
        goto fail;
    return t;
fail:
    vic_transfer_free(t);
    return NULL;
}

void vic_transfer_cancel(struct vic_transfer *t)
{
    if (t->opts.spool) {
        vic_spool_cancel(t->opts.spool, &t->cancelled);
        return;
    }
    vic_stages_stop(t->stages);
}

void vic_transfer_progress(struct vic_transfer *t, struct vic_disk_progress *progress)
{
    if (t->opts.spool) {
        vic_spool_progress(t->opts.spool, progress);
        return;
    }
    vic_stages_progress(t->stages, progress);
    progress->rate = vic_rate_update(&t->rate, progress->fetched);
}

int vic_transfer_join(struct vic_transfer *t, struct vic_disk_result *result,
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
    return t->opts.spool ? vic_spool_status(t->opts.spool) : vic_stages_status(t->stages);
}

void vic_transfer_free(struct vic_transfer *t)
{
    if (!t)
        return;
    vic_stages_free(t->stages);
    vic_digest_free(t->disk_digest);
    vic_raw_free(t->raw);
    if (t->description)
        vic_image_unref(vic_spool_image(t->opts.spool));
    vic_description_free(t->description);
    free((char *)t->opts.output);
    free(t);
}
