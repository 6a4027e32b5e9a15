/*
 * feed: what waits to be read is a queue of runs, each of zeros or of bytes that are the
 * writer's. The disk's end is in a buffer of its own.
 */
#include "feed.h"

#include "alloc.h"
#include "least.h"
#include "magic.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define RUNS 512u /* pieces of a batch, and a hole before each */

struct run {
    const unsigned char *data; /* NULL: zeros */
    uint64_t size;
};

struct vic_feed {
    struct vic_sink sink;
    uint64_t size, length;
    uint64_t held; /* from this byte on the disk is held back */
    struct vic_image_waiter waiter;
    pthread_mutex_t lock; /* all below */
    pthread_cond_t read_on;
    struct run runs[RUNS];
    unsigned first, count;  /* of the runs */
    uint64_t lent;          /* bytes in the runs that are the writer's */
    unsigned char *end;     /* what is held back */
    uint64_t written, read; /* bytes of the disk */
    bool ended;             /* and sound */
    bool stopped;
    bool waiting; /* the reader */
};

/* Under the lock: how many bytes the reader may have now. */
static uint64_t available(const struct vic_feed *f)
{
    uint64_t limit =
        vic_least(f->ended ? f->size : f->held, vic_least(f->written, f->length));

    return f->read < limit ? limit - f->read : 0;
}

/* Under the lock: the reader looks again. */
static void feed_wake(struct vic_feed *f)
{
    if (!f->waiting)
        return;
    f->waiting = false;
    f->waiter.wake(f->waiter.arg);
}

/* Under the lock: until the reader has all that it was lent; one run of zeros is left then
 * at most. */
static int wait_for_reader(struct vic_feed *f, struct vic_error *err)
{
    feed_wake(f);
    while (!f->stopped && f->lent > 0)
        pthread_cond_wait(&f->read_on, &f->lock);
    return f->stopped ? vic_error_set(err, VIC_CANCELLED, "stopped") : 0;
}

/* Under the lock: `size` bytes before those that are held back; NULL: zeros. */
static int add_run(struct vic_feed *f, const unsigned char *data, uint64_t size,
                   struct vic_error *err)
{
    struct run *last = &f->runs[(f->first + f->count - 1) % RUNS];

    if (f->stopped)
        return vic_error_set(err, VIC_CANCELLED, "stopped");
    if (f->count &&
        (data ? last->data && last->data + last->size == data : !last->data)) {
        last->size += size;
    } else {
        if (f->count == RUNS && wait_for_reader(f, err))
            return -1;
        f->runs[(f->first + f->count++) % RUNS] = (struct run){ data, size };
    }
    f->lent += data ? size : 0;
    f->written += size;
    return 0;
}

/* `data` NULL: zeros. */
static int add(struct vic_feed *f, const unsigned char *data, uint64_t size,
               struct vic_error *err)
{
    uint64_t before = f->written < f->held ? vic_least(f->held - f->written, size) : 0;
    int result = 0;

    if (size > f->size - f->written)
        return vic_error_set(err, VIC_FORMAT, "there is more than the disk has");
    pthread_mutex_lock(&f->lock);
    if (before)
        result = add_run(f, data, before, err);
    if (result == 0 && size > before) {
        if (data)
            memcpy(f->end + (f->written - f->held), data + before, size - before);
        f->written += size - before; /* the buffer is zeros from the beginning */
    }
    pthread_mutex_unlock(&f->lock);
    return result;
}

static int feed_write(struct vic_sink *sink, const void *data, size_t size,
                      struct vic_error *err)
{
    struct vic_feed *f = (struct vic_feed *)sink;

    if (f->written == 0 && vic_magic_refuse(data, size, err))
        return -1;
    return add(f, data, size, err);
}

static int feed_skip(struct vic_sink *sink, uint64_t size, struct vic_error *err)
{
    return add((struct vic_feed *)sink, NULL, size, err);
}

static int feed_flush(struct vic_sink *sink, struct vic_error *err)
{
    struct vic_feed *f = (struct vic_feed *)sink;
    int result;

    pthread_mutex_lock(&f->lock);
    result = wait_for_reader(f, err);
    pthread_mutex_unlock(&f->lock);
    return result;
}

static int feed_end(struct vic_sink *sink, struct vic_error *err)
{
    (void)sink, (void)err; /* only vic_feed_end() knows of the stream's end */
    return 0;
}

/* Under the lock: `n` bytes of the first run, which has as many. */
static void take_run(struct vic_feed *f, unsigned char *buffer, size_t n)
{
    struct run *run = &f->runs[f->first];

    if (run->data) {
        memcpy(buffer, run->data, n);
        run->data += n;
        f->lent -= n;
    } else {
        memset(buffer, 0, n);
    }
    run->size -= n;
    if (run->size == 0) {
        f->first = (f->first + 1) % RUNS;
        f->count--;
    }
}

/* Under the lock: `n` of what is available. */
static void take(struct vic_feed *f, unsigned char *buffer, size_t n)
{
    while (n) {
        size_t part = n;

        if (f->read < f->held) {
            part = vic_least_size(f->runs[f->first].size, n);
            take_run(f, buffer, part);
        } else {
            memcpy(buffer, f->end + (f->read - f->held), part);
        }
        f->read += part;
        buffer += part;
        n -= part;
    }
    pthread_cond_signal(&f->read_on);
}

ssize_t vic_feed_read(struct vic_feed *f, void *buffer, size_t max)
{
    ssize_t result = -1;

    pthread_mutex_lock(&f->lock);
    if (!f->stopped) {
        size_t n = vic_least_size(available(f), max);

        result = (ssize_t)n;
        if (n > 0) {
            take(f, buffer, n);
        } else if (f->ended) { /* all was read */
            result = -1;
        } else {
            f->waiting = true;
            f->waiter.wait(f->waiter.arg);
        }
    }
    pthread_mutex_unlock(&f->lock);
    return result;
}

void vic_feed_end(struct vic_feed *f)
{
    pthread_mutex_lock(&f->lock);
    if (f->written == f->size)
        f->ended = true;
    else
        f->stopped = true;
    feed_wake(f);
    pthread_mutex_unlock(&f->lock);
}

void vic_feed_stop(struct vic_feed *f)
{
    pthread_mutex_lock(&f->lock);
    f->stopped = true;
    feed_wake(f);
    pthread_cond_broadcast(&f->read_on);
    pthread_mutex_unlock(&f->lock);
}

struct vic_feed *vic_feed_new(uint64_t size, uint64_t length,
                              const struct vic_image_waiter *waiter)
{
    struct vic_feed *f = vic_alloc(sizeof(*f));

    f->sink.write = feed_write;
    f->sink.end = feed_end;
    f->sink.skip = feed_skip;
    f->sink.flush = feed_flush;
    f->size = size;
    f->length = length;
    f->held = size > VIC_IMAGE_HELD ? size - VIC_IMAGE_HELD : 0;
    f->end = vic_alloc(VIC_IMAGE_HELD);
    f->waiter = *waiter;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->read_on, NULL);
    return f;
}

void vic_feed_free(struct vic_feed *f)
{
    if (!f)
        return;
    pthread_cond_destroy(&f->read_on);
    pthread_mutex_destroy(&f->lock);
    free(f->end);
    free(f);
}

struct vic_sink *vic_feed_sink(struct vic_feed *f)
{
    return &f->sink;
}
