#include "spool_reader.h"

#include "alloc.h"

#include <libdeflate.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct vic_spool_reader {
    struct vic_image_reader reader; /* first */
    struct vic_spool_shared *shared;
    struct vic_image *image;
    struct vic_image_waiter waiter;
    struct vic_spool_reader *next; /* of those who wait */
    bool waiting, stopped;         /* under the shared lock */
    unsigned round;                /* in which it was opened */
    uint64_t at, end; /* bytes of the disk */
    struct libdeflate_decompressor *inflater;
    unsigned char *packed, *grain; /* buffers of two grains and of one */
    uint32_t grain_size;
    uint64_t in_grain; /* number of the one in the buffer, + 1 */
};

void vic_spool_wake(struct vic_spool_shared *shared)
{
    while (shared->waiting) {
        struct vic_spool_reader *r = shared->waiting;

        shared->waiting = r->next;
        r->waiting = false;
        r->waiter.wake(r->waiter.arg);
    }
}

/* Under the lock: how many of `max` bytes can be had now; -1: none any more. */
static ssize_t look(struct vic_spool_reader *r, size_t max)
{
    struct vic_spool_shared *s = r->shared;
    uint64_t limit = s->frontier < r->end ? s->frontier : r->end;

    if (r->stopped || r->round != s->round)
        return -1;
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
    return place->size == 0
                   || pread(s->fd, r->packed, place->size, (off_t)place->at)
                          == (ssize_t)place->size
               ? 0
               : -1;
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
        code = r->round == r->shared->round ? fetch(r, number, &place) : -1;
        pthread_mutex_unlock(&r->shared->lock);
        if (code)
            return -1;
        if (place.size == 0) {
            memset(buffer, 0, n);
            return 0;
        }
        r->in_grain = 0;
        if (libdeflate_zlib_decompress(r->inflater, r->packed, place.size, r->grain,
                                       r->grain_size, &size) != LIBDEFLATE_SUCCESS)
            return -1;
        r->in_grain = number + 1;
    }
    memcpy(buffer, r->grain + r->at % r->grain_size, n);
    return 0;
}

static ssize_t spool_read(struct vic_image_reader *reader, void *buffer, size_t max)
{
    struct vic_spool_reader *r = (struct vic_spool_reader *)reader;
    unsigned char *p = buffer;
    uint32_t grain;
    ssize_t n;
    size_t left;

    pthread_mutex_lock(&r->shared->lock);
    n = look(r, max);
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
    return n;
}

static void spool_stop(struct vic_image_reader *reader)
{
    struct vic_spool_reader *r = (struct vic_spool_reader *)reader;
    struct vic_spool_reader **link;

    pthread_mutex_lock(&r->shared->lock);
    r->stopped = true;
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
    r->at = first;
    r->end = first + length;
    pthread_mutex_lock(&shared->lock);
    r->round = shared->round;
    pthread_mutex_unlock(&shared->lock);
    r->inflater = libdeflate_alloc_decompressor();
    if (!r->inflater)
        abort();
    return &r->reader;
}
