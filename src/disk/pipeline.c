/*
 * pipeline: one lock and one condition for the pool, the stages and the end. A batch is
 * in the decoder's hands, with the workers, in `inflated` (the writer takes the first),
 * in `waiting` (done, but not its turn in the ordered stage), or in `free`.
 *
 * Workers do not write: a file's lock is held while a direct write fills a hole, and who
 * has just inflated waits for a core before it lets go of it. Four of them kept a disk busy
 * for a third of the time; a thread that mostly sleeps runs at once.
 */
#include "pipeline.h"

#include "alloc.h"
#include "batch_queue.h"
#include "inflate.h"
#include "output.h"

#include <pthread.h>

#include <inttypes.h>
#include <stdlib.h>

#define BATCHES 8u

static const unsigned char zeros[256 * 1024];

struct vic_pipeline {
    struct vic_batches batches; /* first, so that a vic_batches * is a pipeline * */
    struct vic_output *output;
    struct vic_sink *ordered;
    struct vic_batch_watcher *watcher;
    struct vic_batch *all; /* BATCHES, of which `made` have been used */
    pthread_mutex_t lock;
    pthread_cond_t changed;

    /* Under the lock. */
    struct vic_batch *free;
    struct vic_batch *waiting;
    unsigned made;
    unsigned under_way; /* submitted and not yet back in the pool */
    uint64_t submitted; /* the number the next batch gets */
    uint64_t turn;      /* the number whose turn it is in the ordered stage */
    bool stopped;
    bool over; /* no batch follows: the ordered stage ends */
    bool failed;
    uint64_t failed_number; /* of the batch that *err is about */
    struct vic_error err;

    struct vic_batch_queue inflated; /* for the writer */
    pthread_t writer;
    bool writes;

    /* Of the ordered stage's thread; of the transfer's after it has ended. */
    pthread_t thread;
    bool threaded;
    uint64_t ordered_at; /* bytes of the disk that the sink has */
    bool disordered;
    bool ascending; /* it must not become disordered */

    atomic_uint_least64_t capacity;
    atomic_uint_least64_t position;
};

static void fail(struct vic_pipeline *p, uint64_t number, const struct vic_error *err)
{
    pthread_mutex_lock(&p->lock);
    if (!p->failed || number < p->failed_number) {
        p->failed = true;
        p->failed_number = number;
        p->err = *err;
    }
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static void put_back(struct vic_pipeline *p, struct vic_batch *batch)
{
    pthread_mutex_lock(&p->lock);
    batch->next = p->free;
    p->free = batch;
    p->under_way--;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static void passed(struct vic_pipeline *p, const struct vic_batch *batch)
{
    const struct vic_piece *piece = &batch->pieces[batch->count - 1];
    uint64_t end = piece->offset + piece->size;
    uint64_t seen = atomic_load(&p->position);

    while (end > seen && !atomic_compare_exchange_weak(&p->position, &seen, end))
        ;
}

static bool has_failed(struct vic_pipeline *p)
{
    bool failed;

    pthread_mutex_lock(&p->lock);
    failed = p->failed || p->stopped;
    pthread_mutex_unlock(&p->lock);
    return failed;
}

/* To the ordered stage, or back to the pool. */
static void pass_on(struct vic_pipeline *p, struct vic_batch *batch)
{
    if (!p->threaded) {
        put_back(p, batch);
        return;
    }
    pthread_mutex_lock(&p->lock);
    batch->next = p->waiting;
    p->waiting = batch;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static void put(struct vic_pipeline *p, struct vic_batch *batch)
{
    struct vic_error err;

    if (!has_failed(p)) {
        if (vic_batch_put(batch, p->output, &err))
            fail(p, batch->number, &err);
        else
            passed(p, batch);
    }
    pass_on(p, batch);
}

/* On a worker thread: no Lua, nothing but the batch and what the lock guards. */
static void run(struct vic_batch *batch, struct libdeflate_decompressor *inflater)
{
    struct vic_pipeline *p = batch->owner;
    struct vic_error err;

    if (!has_failed(p) && vic_batch_inflate(batch, inflater, &err))
        fail(p, batch->number, &err);
    if (p->writes)
        vic_batch_queue_push(&p->inflated, batch);
    else
        put(p, batch);
}

/* On the writer's thread: no Lua. Ends when no batch can follow. */
static void *writer_thread(void *arg)
{
    struct vic_pipeline *p = arg;
    struct vic_batch *batch;

    while ((batch = vic_batch_queue_pop(&p->inflated)))
        put(p, batch);
    return NULL;
}

static int order_zeros(struct vic_pipeline *p, uint64_t until, struct vic_error *err)
{
    if (p->ordered->skip && p->ordered_at < until) {
        uint64_t size = until - p->ordered_at;

        p->ordered_at = until;
        return p->ordered->skip(p->ordered, size, err);
    }
    while (p->ordered_at < until) {
        uint64_t n = until - p->ordered_at;

        if (n > sizeof(zeros))
            n = sizeof(zeros);
        if (has_failed(p)) /* a hole may be terabytes long */
            return vic_error_set(err, VIC_CANCELLED, "stopped");
        if (p->ordered->write(p->ordered, zeros, (size_t)n, err))
            return -1;
        p->ordered_at += n;
    }
    return 0;
}

static int order_batch(struct vic_pipeline *p, const struct vic_batch *batch,
                       struct vic_error *err)
{
    unsigned i;

    if (p->watcher && p->watcher->see(p->watcher, batch, err))
        return -1;
    for (i = 0; p->ordered && i < batch->count && !p->disordered; i++) {
        const struct vic_piece *piece = &batch->pieces[i];

        if (piece->offset < p->ordered_at) {
            p->disordered = true;
            if (p->ascending)
                return vic_error_set(err, VIC_UNSUPPORTED,
                                     "byte %" PRIu64 ": the grains do not ascend: this "
                                     "stream cannot be passed on as it comes",
                                     piece->at);
            break;
        }
        if (order_zeros(p, piece->offset, err) ||
            p->ordered->write(p->ordered, vic_batch_data(batch, i), piece->size, err))
            return -1;
        p->ordered_at += piece->size;
    }
    return 0;
}

/* Takes the batch whose turn it is out of `waiting`. Under the lock. */
static struct vic_batch *take_turn(struct vic_pipeline *p)
{
    struct vic_batch **link;
    struct vic_batch *batch;

    for (link = &p->waiting; *link; link = &(*link)->next) {
        batch = *link;
        if (batch->number == p->turn) {
            *link = batch->next;
            p->turn++;
            return batch;
        }
    }
    return NULL;
}

/* On the ordered stage's thread: no Lua. Ends when no batch can follow. */
static void *ordered_thread(void *arg)
{
    struct vic_pipeline *p = arg;

    for (;;) {
        struct vic_batch *batch;
        struct vic_error err;

        pthread_mutex_lock(&p->lock);
        while (!(batch = take_turn(p)) && !(p->over && p->turn == p->submitted))
            pthread_cond_wait(&p->changed, &p->lock);
        pthread_mutex_unlock(&p->lock);
        if (!batch)
            return NULL;
        if (!has_failed(p) && order_batch(p, batch, &err))
            fail(p, batch->number, &err);
        put_back(p, batch);
    }
}

static int pipeline_sized(struct vic_batches *batches, uint64_t capacity,
                          struct vic_error *err)
{
    struct vic_pipeline *p = (struct vic_pipeline *)batches;

    atomic_store(&p->capacity, capacity);
    return p->output->resize(p->output, capacity, err);
}

static struct vic_batch *pipeline_take(struct vic_batches *batches)
{
    struct vic_pipeline *p = (struct vic_pipeline *)batches;
    struct vic_batch *batch = NULL;

    pthread_mutex_lock(&p->lock);
    while (!p->free && p->made == BATCHES && !p->stopped && !p->failed)
        pthread_cond_wait(&p->changed, &p->lock);
    if (!p->stopped && !p->failed) {
        batch = p->free;
        if (batch)
            p->free = batch->next;
        else
            batch = &p->all[p->made++];
    }
    pthread_mutex_unlock(&p->lock);
    if (batch)
        vic_batch_clear(batch);
    return batch;
}

static void pipeline_submit(struct vic_batches *batches, struct vic_batch *batch)
{
    struct vic_pipeline *p = (struct vic_pipeline *)batches;

    pthread_mutex_lock(&p->lock);
    batch->number = p->submitted++;
    p->under_way++;
    pthread_mutex_unlock(&p->lock);
    vic_inflate_submit(batch);
}

static void start_ordered(struct vic_pipeline *p)
{
    struct vic_error err;

    p->threaded = pthread_create(&p->thread, NULL, ordered_thread, p) == 0;
    if (!p->threaded) {
        vic_error_set(&err, VIC_INTERNAL, "no thread for the disk's bytes");
        fail(p, 0, &err);
    }
}

struct vic_pipeline *vic_pipeline_new(struct vic_output *output, struct vic_sink *ordered)
{
    struct vic_pipeline *p = vic_alloc(sizeof(*p));

    p->batches.sized = pipeline_sized;
    p->batches.take = pipeline_take;
    p->batches.submit = pipeline_submit;
    p->all = vic_batches_new(BATCHES, p, run);
    p->output = output;
    p->ordered = ordered;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    p->inflated = (struct vic_batch_queue)VIC_BATCH_QUEUE;
    /* With no thread to be had the workers write. */
    if (output->waits)
        p->writes = pthread_create(&p->writer, NULL, writer_thread, p) == 0;
    if (ordered)
        start_ordered(p);
    return p;
}

/* Until nobody but the caller has a batch, and the stages' threads are gone. */
static void drain(struct vic_pipeline *p)
{
    pthread_mutex_lock(&p->lock);
    p->over = true;
    pthread_cond_broadcast(&p->changed);
    while (p->under_way)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
    vic_batch_queue_close(&p->inflated);
    if (p->writes)
        pthread_join(p->writer, NULL);
    if (p->threaded)
        pthread_join(p->thread, NULL);
    p->writes = p->threaded = false;
}

void vic_pipeline_free(struct vic_pipeline *p)
{
    if (!p)
        return;
    vic_pipeline_stop(p);
    drain(p);
    vic_batches_free(p->all, BATCHES);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

struct vic_batches *vic_pipeline_batches(struct vic_pipeline *p)
{
    return &p->batches;
}

void vic_pipeline_stop(struct vic_pipeline *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopped = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

int vic_pipeline_finish(struct vic_pipeline *p, bool whole, struct vic_error *err)
{
    uint64_t capacity = atomic_load(&p->capacity);

    drain(p);
    if (p->failed) {
        *err = p->err;
        return -1;
    }
    if (!whole)
        return 0;
    if (p->ordered && !p->disordered && order_zeros(p, capacity, err))
        return -1;
    atomic_store(&p->position, capacity);
    return 0;
}

void vic_pipeline_insist_on_order(struct vic_pipeline *p)
{
    p->ascending = true;
}

void vic_pipeline_watch(struct vic_pipeline *p, struct vic_batch_watcher *watcher)
{
    p->watcher = watcher;
    if (!p->threaded)
        start_ordered(p);
}

bool vic_pipeline_in_order(const struct vic_pipeline *p)
{
    return !p->disordered;
}

uint64_t vic_pipeline_capacity(const struct vic_pipeline *p)
{
    return atomic_load(&p->capacity);
}

uint64_t vic_pipeline_position(const struct vic_pipeline *p)
{
    return atomic_load(&p->position);
}
