/*
 * feed: what waits to be read is the ring's bytes, then `zeros` zeros. Bytes that come
 * while there are such zeros wait until so few of those are left that they fit into the
 * ring, as bytes like others; short runs of zeros are that from the beginning.
 */
#include "feed.h"

#include "alloc.h"
#include "magic.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define RING  ((size_t)1024 * 1024)
#define HOLD  ((uint64_t)64 * 1024)  /* of the disk's end */
#define SHORT ((uint64_t)256 * 1024) /* runs of zeros */
#define WORTH ((uint64_t)128 * 1024) /* bytes that a waiting reader is woken for */

struct vic_feed {
    struct vic_sink sink;
    uint64_t size, length;
    struct vic_image_waiter waiter;
    pthread_mutex_t lock; /* all below */
    pthread_cond_t room;
    unsigned char *ring;
    size_t first, used; /* of the ring */
    uint64_t zeros;
    uint64_t written, read; /* bytes of the disk */
    bool ended;             /* and sound */
    bool stopped;
    bool waiting; /* the reader */
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Under the lock: how many bytes the reader may have now. */
static uint64_t available(const struct vic_feed *f)
{
    uint64_t limit = f->size;

    if (!f->ended)
        limit = f->size > HOLD ? f->size - HOLD : 0;
    limit = least(limit, f->length);
    return f->read < limit ? least(f->used + f->zeros, limit - f->read) : 0;
}

/* Under the lock. */
static void wake(struct vic_feed *f)
{
    uint64_t n = available(f);

    if (!f->waiting)
        return;
    if (!f->stopped && !f->ended && (n == 0 || (n < WORTH && f->read + n < f->length)))
        return;
    f->waiting = false;
    f->waiter.wake(f->waiter.arg);
}

/* Under the lock: puts `n` bytes behind those in the ring; NULL: zeros. */
static void put(struct vic_feed *f, const unsigned char *data, size_t n)
{
    while (n) {
        size_t at = (f->first + f->used) % RING;
        size_t part = (size_t)least(RING - at, n);

        if (data) {
            memcpy(f->ring + at, data, part);
            data += part;
        } else {
            memset(f->ring + at, 0, part);
        }
        f->used += part;
        n -= part;
    }
}

/* Under the lock: waits until bytes can be added; false: it was stopped. */
static bool wait_for_room(struct vic_feed *f)
{
    while (!f->stopped) {
        if (f->zeros > 0 && f->zeros < RING - f->used) {
            put(f, NULL, (size_t)f->zeros);
            f->zeros = 0;
        }
        if (f->zeros == 0 && f->used < RING)
            break;
        if (f->waiting && available(f) > 0) {
            f->waiting = false;
            f->waiter.wake(f->waiter.arg);
        }
        pthread_cond_wait(&f->room, &f->lock);
    }
    return !f->stopped;
}

/* Under the lock. `data` NULL: zeros. */
static int add(struct vic_feed *f, const unsigned char *data, size_t size,
               struct vic_error *err)
{
    while (size) {
        size_t n;

        if (!wait_for_room(f))
            return vic_error_set(err, VIC_CANCELLED, "stopped");
        n = (size_t)least(RING - f->used, size);
        put(f, data, n);
        data = data ? data + n : NULL;
        size -= n;
        f->written += n;
        wake(f);
    }
    return 0;
}

static int feed_write(struct vic_sink *sink, const void *data, size_t size,
                      struct vic_error *err)
{
    struct vic_feed *f = (struct vic_feed *)sink;
    int result;

    if (f->written == 0 && vic_magic_refuse(data, size, err))
        return -1;
    pthread_mutex_lock(&f->lock);
    result = add(f, data, size, err);
    pthread_mutex_unlock(&f->lock);
    return result;
}

static int feed_skip(struct vic_sink *sink, uint64_t size, struct vic_error *err)
{
    struct vic_feed *f = (struct vic_feed *)sink;
    int result = 0;

    pthread_mutex_lock(&f->lock);
    if (size <= SHORT) {
        result = add(f, NULL, (size_t)size, err);
    } else {
        f->zeros += size;
        f->written += size;
        wake(f);
    }
    pthread_mutex_unlock(&f->lock);
    return result;
}

static int feed_end(struct vic_sink *sink, struct vic_error *err)
{
    (void)sink, (void)err; /* only vic_feed_end() knows of the stream's end */
    return 0;
}

/* Under the lock: `n` of what is available. */
static void take(struct vic_feed *f, unsigned char *buffer, size_t n)
{
    while (n && f->used) {
        size_t part = (size_t)least(least(f->used, RING - f->first), n);

        memcpy(buffer, f->ring + f->first, part);
        f->first = (f->first + part) % RING;
        f->used -= part;
        f->read += part;
        buffer += part;
        n -= part;
    }
    memset(buffer, 0, n);
    f->zeros -= n;
    f->read += n;
}

ssize_t vic_feed_read(struct vic_feed *f, void *buffer, size_t max)
{
    ssize_t result = -1;

    pthread_mutex_lock(&f->lock);
    if (!f->stopped) {
        size_t n = (size_t)least(available(f), max);

        result = (ssize_t)n;
        if (n > 0) {
            take(f, buffer, n);
            pthread_cond_signal(&f->room);
        } else if (f->ended) { /* all was read, or it ended too early */
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
    wake(f);
    pthread_mutex_unlock(&f->lock);
}

void vic_feed_stop(struct vic_feed *f)
{
    pthread_mutex_lock(&f->lock);
    f->stopped = true;
    wake(f);
    pthread_cond_broadcast(&f->room);
    pthread_mutex_unlock(&f->lock);
}

bool vic_feed_is_read(struct vic_feed *f)
{
    bool all;

    pthread_mutex_lock(&f->lock);
    all = f->read == f->length;
    pthread_mutex_unlock(&f->lock);
    return all;
}

struct vic_feed *vic_feed_new(uint64_t size, uint64_t length,
                              const struct vic_image_waiter *waiter)
{
    struct vic_feed *f = vic_alloc(sizeof(*f));

    f->sink.write = feed_write;
    f->sink.end = feed_end;
    f->sink.skip = feed_skip;
    f->size = size;
    f->length = length;
    f->waiter = *waiter;
    f->ring = vic_alloc(RING);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->room, NULL);
    return f;
}

void vic_feed_free(struct vic_feed *f)
{
    if (!f)
        return;
    pthread_cond_destroy(&f->room);
    pthread_mutex_destroy(&f->lock);
    free(f->ring);
    free(f);
}

struct vic_sink *vic_feed_sink(struct vic_feed *f)
{
    return &f->sink;
}
