/*
 * drip: one lock for all readers of a clock. It is taken within those of images (their
 * waiter is ours), so no image is ever called under it.
 */
#include "drip.h"

#include "alloc.h"
#include "clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define KEPT ((size_t)4096)

struct drip {
    struct vic_image_reader reader; /* first, so that a reader * is a drip * */
    struct vic_drips *drips;
    struct vic_image_reader *inner;
    struct vic_image_waiter waiter; /* of who reads */
    struct drip *next, **link;      /* of those who wait; link NULL: it is none of them */
    bool starved;                   /* the image has nothing for now */
    bool due;                       /* a byte may go out nevertheless */
    uint64_t left;                  /* bytes that the image has still to give */
    unsigned char kept[KEPT];
    size_t count; /* of these; of who reads */
};

struct vic_drips {
    pthread_t clock;
    double every;         /* seconds */
    pthread_mutex_t lock; /* all below, and what the readers say of waiting */
    pthread_cond_t changed;
    struct drip *waiting;
    bool stop;
};

/* Under the lock. False: it was none of those who wait. */
static bool drip_delist(struct drip *d)
{
    if (!d->link)
        return false;
    *d->link = d->next;
    if (d->next)
        d->next->link = d->link;
    d->link = NULL;
    return true;
}

/* Under the lock: who reads looks again. */
static void drip_wake(struct drip *d)
{
    if (drip_delist(d))
        d->waiter.wake(d->waiter.arg);
}

/* Under the lock. */
static void tick(struct vic_drips *drips)
{
    struct drip *d, *next;

    for (d = drips->waiting; d; d = next) {
        next = d->next;
        if (d->count == 0)
            continue;
        d->due = true;
        drip_wake(d);
    }
}

/* A thread of its own: ticks while somebody waits. */
static void *run_clock(void *arg)
{
    struct vic_drips *drips = arg;

    pthread_mutex_lock(&drips->lock);
    while (!drips->stop) {
        struct timespec until;

        if (!drips->waiting) {
            pthread_cond_wait(&drips->changed, &drips->lock);
            continue;
        }
        until = vic_clock_timespec(vic_now() + drips->every);
        while (!drips->stop &&
               pthread_cond_timedwait(&drips->changed, &drips->lock, &until) == 0)
            ;
        tick(drips);
    }
    pthread_mutex_unlock(&drips->lock);
    return NULL;
}

/* Under the image's lock. */
static void on_wait(void *arg)
{
    struct drip *d = arg;

    pthread_mutex_lock(&d->drips->lock);
    d->starved = true;
    pthread_mutex_unlock(&d->drips->lock);
}

/* Under the image's lock. */
static void on_wake(void *arg)
{
    struct drip *d = arg;

    pthread_mutex_lock(&d->drips->lock);
    d->starved = false;
    drip_wake(d);
    pthread_mutex_unlock(&d->drips->lock);
}

/* The image has nothing for now. True: who reads waits; false: look again, or `due`. */
static bool drip_must_wait(struct drip *d)
{
    struct vic_drips *drips = d->drips;
    bool waits;

    pthread_mutex_lock(&drips->lock);
    waits = d->starved && !d->due;
    if (waits) {
        d->next = drips->waiting;
        d->link = &drips->waiting;
        if (d->next)
            d->next->link = &d->next;
        else
            pthread_cond_signal(&drips->changed);
        drips->waiting = d;
        d->waiter.wait(d->waiter.arg);
    }
    pthread_mutex_unlock(&drips->lock);
    return waits;
}

/* Whether the image may be asked: not before it has woken us. */
static bool is_starved(struct drip *d)
{
    bool starved;

    pthread_mutex_lock(&d->drips->lock);
    starved = d->starved;
    if (!starved)
        d->due = false;
    pthread_mutex_unlock(&d->drips->lock);
    return starved;
}

static bool take_due(struct drip *d)
{
    bool due;

    pthread_mutex_lock(&d->drips->lock);
    due = d->due;
    d->due = false;
    pthread_mutex_unlock(&d->drips->lock);
    return due;
}

/* Takes `n` bytes off the beginning of what is kept. */
static ssize_t let_go(struct drip *d, unsigned char *buffer, size_t n)
{
    memcpy(buffer, d->kept, n);
    d->count -= n;
    memmove(d->kept, d->kept + n, d->count);
    return (ssize_t)n;
}

/* What is kept and what the image has now, up to `max` bytes, less what is kept of them. 0:
 * nothing came, or all of it was kept. */
static ssize_t pass(struct drip *d, unsigned char *buffer, size_t max)
{
    size_t count = d->count, keep;
    size_t room = max - count < d->left ? max - count : (size_t)d->left;
    ssize_t n = d->inner->read(d->inner, buffer + count, room);

    if (n <= 0)
        return n;
    memcpy(buffer, d->kept, count);
    count += (size_t)n;
    d->left -= (uint64_t)n;
    keep = d->left == 0 ? 0 : count < KEPT ? count : KEPT;
    memcpy(d->kept, buffer + count - keep, keep);
    d->count = keep;
    return (ssize_t)(count - keep);
}

static ssize_t drip_read(struct vic_image_reader *reader, void *buffer, size_t max)
{
    struct drip *d = (struct drip *)reader;

    if (d->left == 0 || max <= d->count) /* no more comes, or it would have no room */
        return d->count ? let_go(d, buffer, d->count < max ? d->count : max) : -1;
    for (;;) {
        if (!is_starved(d)) {
            ssize_t n = pass(d, buffer, max);

            if (n != 0)
                return n;
        } else if (d->count && take_due(d)) {
            return let_go(d, buffer, 1);
        } else if (drip_must_wait(d)) {
            return 0;
        }
    }
}

bool vic_drip_has_begun(struct vic_image_reader *reader)
{
    struct drip *d = (struct drip *)reader;

    while (d->count == 0 && d->left > 0) {
        ssize_t n;

        if (is_starved(d)) {
            if (drip_must_wait(d))
                return false;
            continue;
        }
        n = d->inner->read(d->inner, d->kept, KEPT);
        if (n < 0)
            break; /* the next read says so, too */
        d->count = (size_t)n;
        d->left -= (uint64_t)n;
    }
    return true;
}

static void drip_stop(struct vic_image_reader *reader)
{
    struct drip *d = (struct drip *)reader;

    d->inner->stop(d->inner);
}

static void drip_close(struct vic_image_reader *reader)
{
    struct drip *d = (struct drip *)reader;

    pthread_mutex_lock(&d->drips->lock);
    drip_delist(d);
    pthread_mutex_unlock(&d->drips->lock);
    d->inner->close(d->inner);
    free(d);
}

struct vic_image_reader *vic_drip_open(struct vic_drips *drips, struct vic_image *image,
                                       uint64_t first, uint64_t length,
                                       const struct vic_image_waiter *waiter)
{
    struct drip *d = vic_alloc(sizeof(*d));
    const struct vic_image_waiter ours = { on_wait, on_wake, d };

    d->reader.read = drip_read;
    d->reader.stop = drip_stop;
    d->reader.close = drip_close;
    d->drips = drips;
    d->waiter = *waiter;
    d->left = length;
    d->inner = image->open(image, first, length, &ours);
    if (!d->inner) {
        free(d);
        return NULL;
    }
    return &d->reader;
}

struct vic_drips *vic_drips_new(double every)
{
    struct vic_drips *drips = vic_alloc(sizeof(*drips));

    drips->every = every;
    pthread_mutex_init(&drips->lock, NULL);
    vic_cond_init(&drips->changed);
    pthread_create(&drips->clock, NULL, run_clock, drips);
    return drips;
}

void vic_drips_free(struct vic_drips *drips)
{
    if (!drips)
        return;
    pthread_mutex_lock(&drips->lock);
    drips->stop = true;
    pthread_cond_signal(&drips->changed);
    pthread_mutex_unlock(&drips->lock);
    pthread_join(drips->clock, NULL);
    pthread_cond_destroy(&drips->changed);
    pthread_mutex_destroy(&drips->lock);
    free(drips);
}
