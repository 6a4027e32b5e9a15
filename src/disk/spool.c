/*
 * spool: one fetch writes, any number of readers inflate what they are asked for. How far
 * they may read is `frontier`: all grains before it are verified and in the index.
 */
#include "spool.h"

#include "alloc.h"
#include "grain_index.h"
#include "spool_state.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *const ENDINGS[VIC_SPOOL_NAMES] = { ".vmdk", ".vmdk.part", ".index",
                                                      ".index.part", ".etag" };

void vic_spool_announce(struct vic_spool *s, uint64_t frontier)
{
    struct vic_spool_shared *shared = &s->shared;

    pthread_mutex_lock(&shared->lock);
    shared->frontier = frontier;
    /* Before that a part of its end would be waited for until all has come. */
    atomic_store(&s->image.random, frontier == s->image.size);
    vic_spool_wake(shared);
    pthread_mutex_unlock(&shared->lock);
}

void vic_spool_break_off(struct vic_spool *s)
{
    struct vic_spool_shared *shared = &s->shared;

    pthread_mutex_lock(&shared->lock);
    shared->round++;
    shared->frontier = 0;
    shared->follower = NULL;
    vic_spool_wake(shared);
    pthread_mutex_unlock(&shared->lock);
}

void vic_spool_use(struct vic_spool *s, int fd, int index_fd)
{
    pthread_mutex_lock(&s->shared.lock);
    if (s->shared.fd >= 0)
        close(s->shared.fd);
    if (s->shared.index.fd >= 0)
        close(s->shared.index.fd);
    s->shared.fd = fd;
    s->shared.index.fd = index_fd;
    pthread_mutex_unlock(&s->shared.lock);
}

void vic_spool_cancel(struct vic_spool *s, atomic_bool *cancelled)
{
    atomic_store(cancelled, true); /* before it has begun, too */
    pthread_mutex_lock(&s->lock);
    if (s->stages && s->cancelled == cancelled)
        vic_stages_stop(s->stages);
    pthread_mutex_unlock(&s->lock);
}

void vic_spool_progress(struct vic_spool *s, struct vic_disk_progress *progress)
{
    pthread_mutex_lock(&s->lock);
    if (s->stages)
        vic_stages_progress(s->stages, &s->progress);
    *progress = s->progress;
    progress->rate = vic_rate_update(&s->rate, progress->fetched);
    pthread_mutex_unlock(&s->lock);
}

int vic_spool_status(struct vic_spool *s)
{
    int status;

    pthread_mutex_lock(&s->lock);
    status = s->status;
    pthread_mutex_unlock(&s->lock);
    return status;
}

bool vic_spool_is_whole(struct vic_spool *s)
{
    bool whole;

    pthread_mutex_lock(&s->shared.lock);
    whole = s->shared.frontier == s->image.size;
    pthread_mutex_unlock(&s->shared.lock);
    return whole;
}

static struct vic_image_reader *spool_open(struct vic_image *image, uint64_t first,
                                           uint64_t length,
                                           const struct vic_image_waiter *waiter)
{
    struct vic_spool *s = (struct vic_spool *)image;

    return vic_spool_reader_new(&s->shared, image, first, length, waiter);
}

static void spool_free(struct vic_image *image)
{
    struct vic_spool *s = (struct vic_spool *)image;
    unsigned i;

    vic_spool_use(s, -1, -1);
    for (i = 0; i < VIC_SPOOL_NAMES; i++)
        free(s->names[i]);
    vic_spool_shared_destroy(&s->shared);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* A whole one of an earlier process. */
static void load(struct vic_spool *s)
{
    struct vic_grain_index *index = &s->shared.index;
    struct stat st;

    s->shared.fd = open(s->names[VIC_SPOOL_STREAM], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    index->fd = open(s->names[VIC_SPOOL_INDEX], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (s->shared.fd >= 0 && index->fd >= 0 && vic_grain_index_load(index) == 0 &&
        fstat(s->shared.fd, &st) == 0 && S_ISREG(st.st_mode) &&
        (uint64_t)st.st_size == index->size)
        vic_spool_announce(s, s->image.size);
    else
        vic_spool_use(s, -1, -1);
}

struct vic_spool *vic_spool_open(const char *path, uint64_t capacity,
                                 struct vic_error *err)
{
    struct vic_spool *s = vic_alloc(sizeof(*s));
    struct timespec now;
    unsigned i;

    (void)err;
    atomic_init(&s->image.refs, 1);
    s->image.size = capacity;
    s->image.open = spool_open;
    s->image.free = spool_free;
    clock_gettime(CLOCK_REALTIME, &now); /* it may be another disk's next time */
    snprintf(s->image.etag, sizeof(s->image.etag), "\"%" PRIx64 "-%lx.%lx\"", capacity,
             (unsigned long)now.tv_sec, (unsigned long)now.tv_nsec);
    for (i = 0; i < VIC_SPOOL_NAMES; i++) {
        size_t size = strlen(path) + strlen(ENDINGS[i]) + 1;

        s->names[i] = vic_alloc(size);
        snprintf(s->names[i], size, "%s%s", path, ENDINGS[i]);
    }
    vic_spool_shared_init(&s->shared);
    s->shared.index.capacity = capacity;
    pthread_mutex_init(&s->lock, NULL);
    load(s);
    return s;
}

void vic_spool_close(struct vic_spool *s)
{
    if (!vic_spool_is_whole(s))
        vic_spool_break_off(s);
    vic_image_unref(&s->image);
}

struct vic_image *vic_spool_image(struct vic_spool *s)
{
    return &s->image;
}
