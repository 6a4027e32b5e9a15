/*
 * stream: a read is a thread that runs the stages into a feed; the image server's thread
 * that closes it joins that thread, which ends within milliseconds once it is stopped.
 */
#include "stream.h"

#include "alloc.h"
#include "description.h"
#include "feed.h"
#include "rate.h"
#include "stages.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MOST_READS 2

struct reading {
    struct vic_image_reader reader; /* first, so that a reader * is a reading * */
    struct vic_stream *stream;
    struct vic_feed *feed;
    struct vic_stages *stages;
    pthread_t thread;
    struct reading *next; /* of the stream's, the latest first */
    uint64_t at;          /* bytes of the disk that went out; of who reads */
    bool whole;           /* it is not about the beginning alone */
    bool unwanted;        /* under the stream's lock: it was stopped from here */
};

/* The beginning, from memory. */
struct prefix {
    struct vic_image_reader reader; /* first */
    size_t at, size;
    unsigned char bytes[];
};

struct vic_stream {
    struct vic_image image; /* first, so that an image * is a stream * */
    struct vic_description *description;
    pthread_mutex_t lock; /* all below */
    struct reading *readings;
    bool stopped;
    unsigned char prefix[VIC_IMAGE_PREFIX]; /* the disk's first bytes ... */
    size_t prefix_size;                     /* ... as far as they were read */
    struct vic_rate rate;
    struct vic_stream_progress progress;
};

/* Under the lock: what came of it. */
static void note_end(struct reading *r, int code, const struct vic_error *err)
{
    struct vic_stream_progress *p = &r->stream->progress;
    unsigned i;

    if (code == 0) {
        p->sound++;
        for (i = 0; i < VIC_ALGORITHMS; i++)
            strcpy(p->digests[i], vic_stages_digest(r->stages, (enum vic_algorithm)i));
    } else if (!r->unwanted) {
        p->failed++;
        p->err = *err;
        p->status = vic_stages_status(r->stages);
    }
}

/* On the read's thread: no Lua. */
static void *reading_run(void *arg)
{
    struct reading *r = arg;
    struct vic_error err;
    int code = vic_stages_run(r->stages, &err);

    pthread_mutex_lock(&r->stream->lock);
    note_end(r, code, &err);
    pthread_mutex_unlock(&r->stream->lock);
    if (code == 0)
        vic_feed_end(r->feed);
    else
        vic_feed_stop(r->feed);
    return NULL;
}

/* Keeps the disk's first bytes for those who ask for them alone. */
static void keep(struct reading *r, const unsigned char *data, size_t size)
{
    struct vic_stream *s = r->stream;

    pthread_mutex_lock(&s->lock);
    if (r->at == s->prefix_size) {
        if (size > VIC_IMAGE_PREFIX - s->prefix_size)
            size = VIC_IMAGE_PREFIX - s->prefix_size;
        memcpy(s->prefix + s->prefix_size, data, size);
        s->prefix_size += size;
    }
    pthread_mutex_unlock(&s->lock);
}

static ssize_t reading_read(struct vic_image_reader *reader, void *buffer, size_t max)
{
    struct reading *r = (struct reading *)reader;
    ssize_t n = vic_feed_read(r->feed, buffer, max);

    if (n > 0 && r->at < VIC_IMAGE_PREFIX)
        keep(r, buffer, (size_t)n);
    r->at += n > 0 ? (uint64_t)n : 0;
    return n;
}

static void reading_stop(struct vic_image_reader *reader)
{
    struct reading *r = (struct reading *)reader;

    pthread_mutex_lock(&r->stream->lock);
    r->unwanted = true;
    pthread_mutex_unlock(&r->stream->lock);
    vic_feed_stop(r->feed);
    vic_stages_stop(r->stages);
}

/* Under the lock: how far it is; the last one's figures stay. */
static void note_progress(struct reading *r)
{
    vic_stages_progress(r->stages, &r->stream->progress.now);
}

static void stream_delist(struct reading *r)
{
    struct vic_stream *s = r->stream;
    struct reading **link = &s->readings;

    pthread_mutex_lock(&s->lock);
    while (*link != r)
        link = &(*link)->next;
    *link = r->next;
    note_progress(r);
    s->progress.received += s->progress.now.received;
    s->progress.passed += s->progress.now.position;
    pthread_mutex_unlock(&s->lock);
}

static void reading_close(struct vic_image_reader *reader)
{
    struct reading *r = (struct reading *)reader;

    reading_stop(reader);
    pthread_join(r->thread, NULL);
    stream_delist(r);
    vic_stages_free(r->stages);
    vic_feed_free(r->feed);
    vic_image_unref(&r->stream->image);
    free(r);
}

static void reading_free(struct reading *r)
{
    vic_stages_free(r->stages);
    vic_feed_free(r->feed);
    free(r);
}

static struct reading *reading_new(struct vic_stream *s, uint64_t length,
                                   const struct vic_image_waiter *waiter,
                                   struct vic_error *err)
{
    struct reading *r = vic_alloc(sizeof(*r));

    r->reader.read = reading_read;
    r->reader.stop = reading_stop;
    r->reader.close = reading_close;
    r->stream = s;
    r->whole = length == s->image.size;
    r->feed = vic_feed_new(s->image.size, length, waiter);
    r->stages = vic_stages_new(s->description, &vic_nowhere, vic_feed_sink(r->feed), err);
    if (!r->stages) {
        reading_free(r);
        return NULL;
    }
    vic_stages_insist_on_order(r->stages);
    return r;
}

/* Under the lock: ends the oldest read if there are too many. Its reader finds it
 * broken, and closes it. */
static void make_place(struct vic_stream *s)
{
    unsigned count = 0;
    struct reading *r;

    for (r = s->readings; r; r = r->next) {
        if (r->unwanted || ++count < MOST_READS)
            continue;
        r->unwanted = true;
        vic_feed_stop(r->feed);
        vic_stages_stop(r->stages);
    }
}

/* Under the lock: starts it. */
static bool stream_start(struct vic_stream *s, struct reading *r)
{
    if (s->stopped)
        return false;
    make_place(s);
    if (pthread_create(&r->thread, NULL, reading_run, r) != 0)
        return false;
    vic_image_ref(&s->image);
    r->next = s->readings;
    s->readings = r;
    s->progress.reads += r->whole;
    return true;
}

static ssize_t prefix_read(struct vic_image_reader *reader, void *buffer, size_t max)
{
    struct prefix *p = (struct prefix *)reader;
    size_t n = p->size - p->at < max ? p->size - p->at : max;

    memcpy(buffer, p->bytes + p->at, n);
    p->at += n;
    return n > 0 ? (ssize_t)n : -1;
}

static void prefix_stop(struct vic_image_reader *reader)
{
    (void)reader; /* it never waits */
}

static void prefix_close(struct vic_image_reader *reader)
{
    free(reader);
}

/* NULL: so much of the beginning was not read yet. */
static struct vic_image_reader *open_prefix(struct vic_stream *s, uint64_t length)
{
    struct prefix *p = NULL;

    pthread_mutex_lock(&s->lock);
    if (length <= s->prefix_size && length < s->image.size) {
        p = vic_alloc(sizeof(*p) + length);
        p->reader.read = prefix_read;
        p->reader.stop = prefix_stop;
        p->reader.close = prefix_close;
        p->size = length;
        memcpy(p->bytes, s->prefix, length);
    }
    pthread_mutex_unlock(&s->lock);
    return p ? &p->reader : NULL;
}

static struct vic_image_reader *stream_open(struct vic_image *image, uint64_t first,
                                            uint64_t length,
                                            const struct vic_image_waiter *waiter)
{
    struct vic_stream *s = (struct vic_stream *)image;
    struct vic_image_reader *prefix = open_prefix(s, length);
    struct vic_error err;
    struct reading *r;
    bool started;

    (void)first; /* 0 */
    if (prefix)
        return prefix;
    r = reading_new(s, length, waiter, &err);
    if (!r)
        return NULL;
    pthread_mutex_lock(&s->lock);
    started = stream_start(s, r);
    pthread_mutex_unlock(&s->lock);
    if (!started) {
        reading_free(r);
        return NULL;
    }
    return &r->reader;
}

static void stream_free(struct vic_image *image)
{
    struct vic_stream *s = (struct vic_stream *)image;

    vic_description_free(s->description);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

struct vic_stream *vic_stream_new(const struct vic_description *d, struct vic_error *err)
{
    struct vic_stream *s;

    if (vic_description_check(d, err)) /* better now than at the first request */
        return NULL;
    s = vic_alloc(sizeof(*s));
    atomic_init(&s->image.refs, 1);
    s->image.size = d->capacity;
    s->image.open = stream_open;
    s->image.free = stream_free;
    s->description = vic_description_copy(d);
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

struct vic_image *vic_stream_image(struct vic_stream *s)
{
    return &s->image;
}

void vic_stream_progress(struct vic_stream *s, struct vic_stream_progress *progress)
{
    struct vic_disk_progress best = { 0 };
    unsigned reading = 0;
    uint64_t received, passed;
    struct reading *r;

    pthread_mutex_lock(&s->lock);
    received = s->progress.received;
    passed = s->progress.passed;
    for (r = s->readings; r; r = r->next) {
        note_progress(r);
        received += s->progress.now.received;
        passed += s->progress.now.position;
        reading += r->whole && !r->unwanted;
        if (r->whole && s->progress.now.position >= best.position)
            best = s->progress.now;
    }
    if (reading)
        s->progress.now = best;
    *progress = s->progress;
    progress->reading = reading;
    progress->received = received;
    progress->passed = passed;
    progress->now.rate = vic_rate_update(&s->rate, received);
    pthread_mutex_unlock(&s->lock);
}

void vic_stream_stop(struct vic_stream *s)
{
    struct reading *r;

    pthread_mutex_lock(&s->lock);
    s->stopped = true;
    for (r = s->readings; r; r = r->next) {
        r->unwanted = true;
        vic_feed_stop(r->feed);
        vic_stages_stop(r->stages);
    }
    pthread_mutex_unlock(&s->lock);
}
