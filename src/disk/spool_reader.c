#include "spool_reader.h"

#include "alloc.h"
#include "clock.h"

#include <libdeflate.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The fetch waits for a follower, also while that reads a long hole: what it would read
 * from the file it would have to inflate again. One that does less than PACE bytes between
 * two looks, or is not there after PATIENCE, is left behind, and for PAUSE there is no
 * other: a reader that stands still costs the fetch a tenth of its time. */
#define LOOK     0.1 /* seconds */
#define PACE     ((uint64_t)5 * 1024 * 1024)
#define PATIENCE 5.0 /* seconds */
#define PAUSE    1.0 /* seconds */
/* Who is so close behind becomes the follower: what PACE does in PATIENCE. */
#define REACH ((uint64_t)256 * 1024 * 1024)

struct vic_spool_reader {
    struct vic_image_reader reader; /* first */
    struct vic_spool_shared *shared;
    struct vic_image *image;
    struct vic_image_waiter waiter;
    struct vic_spool_reader *next; /* of those who wait */
    bool waiting, stopped;         /* under the shared lock */
    unsigned round;                /* in which it was opened */
    uint64_t at, end;              /* bytes of the disk */
    uint64_t passed;               /* `at`, as others see it: under the shared lock */
    struct libdeflate_decompressor *inflater;
    unsigned char *packed, *grain; /* buffers of two grains and of one */
    uint32_t grain_size;
    uint64_t in_grain; /* number of the one in the buffer, + 1 */
    size_t have;       /* bytes of it */
};

void vic_spool_shared_init(struct vic_spool_shared *s)
{
    pthread_mutex_init(&s->lock, NULL);
    vic_cond_init(&s->caught_up);
    s->fd = s->index.fd = -1;
}

void vic_spool_shared_destroy(struct vic_spool_shared *s)
{
    pthread_cond_destroy(&s->caught_up);
    pthread_mutex_destroy(&s->lock);
}

void vic_spool_lend(struct vic_spool_shared *s, const struct vic_batch *batch)
{
    pthread_mutex_lock(&s->lock);
    s->lent = batch;
    pthread_mutex_unlock(&s->lock);
}

/* Under the lock: is there something that the follower has not read? */
static bool is_behind(const struct vic_spool_shared *s)
{
    const struct vic_spool_reader *r = s->follower;

    return r && r->passed < (s->frontier < r->end ? s->frontier : r->end);
}

/* Under the lock: waits until the follower is there, or it is time for the next look. */
static void wait_for_follower(struct vic_spool_shared *s)
{
    struct timespec until = vic_clock_timespec(vic_now() + LOOK);

    while (is_behind(s))
        if (pthread_cond_timedwait(&s->caught_up, &s->lock, &until) == ETIMEDOUT)
            break;
}

void vic_spool_take_back(struct vic_spool_shared *s)
{
    double latest;

    pthread_mutex_lock(&s->lock);
    latest = vic_now() + PATIENCE;
    while (is_behind(s)) {
        const struct vic_spool_reader *follower = s->follower;
        uint64_t passed = follower->passed;

        wait_for_follower(s);
        if (!is_behind(s) || s->follower != follower)
            continue;
        if (follower->passed - passed < PACE || vic_now() >= latest) {
            s->follower = NULL;
            s->alone_until = vic_now() + PAUSE;
        }
    }
    s->lent = NULL;
    pthread_mutex_unlock(&s->lock);
}

/* Under the lock: the bytes of a grain that is lent, or NULL. */
static const unsigned char *find_lent(const struct vic_spool_shared *s, uint64_t offset)
{
    unsigned low = 0, high = s->lent ? s->lent->count : 0;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (s->lent->pieces[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (!s->lent || low == s->lent->count || s->lent->pieces[low].offset != offset)
        return NULL;
    return vic_batch_data(s->lent, low);
}

void vic_spool_wake(struct vic_spool_shared *shared)
{
    while (shared->waiting) {
        struct vic_spool_reader *r = shared->waiting;

        shared->waiting = r->next;
        r->waiting = false;
        r->waiter.wake(r->waiter.arg);
    }
}

/* Under the lock: if it is close to what comes, that waits for it from now on. */
static void follow(struct vic_spool_reader *r)
{
    struct vic_spool_shared *s = r->shared;

    if (!s->follower && r->at < r->end && r->at + REACH >= s->frontier &&
        vic_now() >= s->alone_until)
        s->follower = r;
}

/* Under the lock: how many of `max` bytes can be had now; -1: none any more. */
static ssize_t spool_reader_look(struct vic_spool_reader *r, size_t max)
{
    struct vic_spool_shared *s = r->shared;
    uint64_t limit = s->frontier < r->end ? s->frontier : r->end;

    if (r->stopped || r->round != s->round)
        return -1;
    follow(r);
    if (r->at < limit)
        return (ssize_t)(limit - r->at < max ? limit - r->at : max);
    r->waiting = true;
    r->next = s->waiting;
    s->waiting = r;
    r->waiter.wait(r->waiter.arg);
    return 0;
}

static int make_buffers(struct vic_spool_reader *r, uint32_t grain)
{
    if (r->grain_size == grain)
        return 0;
    free(r->packed);
    free(r->grain);
    r->packed = vic_alloc(2 * (size_t)grain);
    r->grain = vic_alloc(grain);
    r->grain_size = grain;
    r->in_grain = 0;
    return 0;
}

/* Under the lock: the compressed bytes of a grain; `place->size` 0: it is a hole. */
static int fetch(struct vic_spool_reader *r, uint64_t number,
                 struct vic_grain_place *place)
{
    struct vic_spool_shared *s = r->shared;

    place->size = 0;
    if (s->index.grain == 0) /* there is not a single one */
        return 0;
    if (vic_grain_index_find(&s->index, number, place))
        return -1;
    return place->size == 0 || pread(s->fd, r->packed, place->size, (off_t)place->at) ==
                                   (ssize_t)place->size
               ? 0
               : -1;
}

/* Gets a grain: into `buffer` the `n` bytes from r->at on if it is lent or a hole, or its
 * compressed bytes. Under the lock. */
static int get(struct vic_spool_reader *r, uint64_t number, unsigned char *buffer,
               size_t n, struct vic_grain_place *place)
{
    const unsigned char *lent = find_lent(r->shared, number * r->grain_size);

    place->size = 0;
    if (r->round != r->shared->round)
        return -1;
    if (lent)
        memcpy(buffer, lent + r->at % r->grain_size, n);
    else if (fetch(r, number, place))
        return -1;
    else if (place->size == 0)
        memset(buffer, 0, n);
    return 0;
}

/* Puts `n` bytes from r->at on, all of one grain, into `buffer`. */
static int give(struct vic_spool_reader *r, unsigned char *buffer, size_t n)
{
    uint64_t number = r->at / r->grain_size;
    struct vic_grain_place place;
    size_t size;
    int code;

    if (r->in_grain != number + 1) {
        pthread_mutex_lock(&r->shared->lock);
        code = get(r, number, buffer, n, &place);
        pthread_mutex_unlock(&r->shared->lock);
        if (code || place.size == 0)
            return code;
        r->in_grain = 0;
        if (libdeflate_zlib_decompress(r->inflater, r->packed, place.size, r->grain,
                                       r->grain_size, &size) != LIBDEFLATE_SUCCESS)
            return -1;
        r->in_grain = number + 1;
        r->have = size;
    }
    /* What an earlier process left need not be what it has verified. */
    if (r->at % r->grain_size + n > r->have)
        return -1;
    memcpy(buffer, r->grain + r->at % r->grain_size, n);
    return 0;
}

/* Others see how far it is. */
static void publish(struct vic_spool_reader *r)
{
    struct vic_spool_shared *s = r->shared;

    pthread_mutex_lock(&s->lock);
    r->passed = r->at;
    if (s->follower == r && !is_behind(s))
        pthread_cond_signal(&s->caught_up);
    pthread_mutex_unlock(&s->lock);
}

static ssize_t spool_read(struct vic_image_reader *reader, void *buffer, size_t max)
{
    struct vic_spool_reader *r = (struct vic_spool_reader *)reader;
    unsigned char *p = buffer;
    uint32_t grain;
    ssize_t n;
    size_t left;

    pthread_mutex_lock(&r->shared->lock);
    n = spool_reader_look(r, max);
    grain = r->shared->index.grain ? r->shared->index.grain : 65536;
    pthread_mutex_unlock(&r->shared->lock);
    if (n <= 0)
        return n;
    make_buffers(r, grain);
    for (left = (size_t)n; left;) {
        size_t part = grain - r->at % grain;

        if (part > left)
            part = left;
        if (give(r, p, part))
            return -1;
        r->at += part;
        p += part;
        left -= part;
    }
    publish(r);
    return n;
}

static void spool_stop(struct vic_image_reader *reader)
{
    struct vic_spool_reader *r = (struct vic_spool_reader *)reader;
    struct vic_spool_reader **link;

    pthread_mutex_lock(&r->shared->lock);
    r->stopped = true;
    if (r->shared->follower == r) {
        r->shared->follower = NULL;
        pthread_cond_signal(&r->shared->caught_up);
    }
    for (link = &r->shared->waiting; *link; link = &(*link)->next) {
        if (*link != r)
            continue;
        *link = r->next;
        r->waiting = false;
        r->waiter.wake(r->waiter.arg);
        break;
    }
    pthread_mutex_unlock(&r->shared->lock);
}

static void spool_close(struct vic_image_reader *reader)
{
    struct vic_spool_reader *r = (struct vic_spool_reader *)reader;

    spool_stop(reader);
    libdeflate_free_decompressor(r->inflater);
    free(r->packed);
    free(r->grain);
    vic_image_unref(r->image);
    free(r);
}

struct vic_image_reader *vic_spool_reader_new(struct vic_spool_shared *shared,
                                              struct vic_image *image, uint64_t first,
                                              uint64_t length,
                                              const struct vic_image_waiter *waiter)
{
    struct vic_spool_reader *r = vic_alloc(sizeof(*r));

    r->reader.read = spool_read;
    r->reader.stop = spool_stop;
    r->reader.close = spool_close;
    r->shared = shared;
    r->image = vic_image_ref(image);
    r->waiter = *waiter;
    r->at = r->passed = first;
    r->end = first + length;
    pthread_mutex_lock(&shared->lock);
    r->round = shared->round;
    pthread_mutex_unlock(&shared->lock);
    r->inflater = libdeflate_alloc_decompressor();
    if (!r->inflater)
        abort();
    return &r->reader;
}
