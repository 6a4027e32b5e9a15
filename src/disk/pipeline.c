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

struct vic_pipeline {
    struct vic_batches batches; /* first, so that a vic_batches * is a pipeline * */
    struct vic_output *output;
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
    bool over;          /* no batch follows: the ordered stage ends */
    bool failed;
    uint64_t failed_number; /* of the batch that *err is about */
    struct vic_error err;

    struct vic_batch_queue inflated; /* for the writer */
    pthread_t writer;
    bool writes;

    struct vic_ordered ordered; /* the transfer's again after the thread has ended */
    pthread_t thread;
    bool threaded;

    atomic_bool ended; /* stopped or failed: nobody wants the rest */
    atomic_uint_least64_t capacity;
    atomic_uint_least64_t position;
};

static void pipeline_fail(struct vic_pipeline *p, uint64_t number,
                          const struct vic_error *err)
{
    pthread_mutex_lock(&p->lock);
    if (!p->failed || number < p->failed_number) {
        p->failed = true;
        atomic_store(&p->ended, true);
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

static void pipeline_put(struct vic_pipeline *p, struct vic_batch *batch)
{
    struct vic_error err;

    if (!atomic_load(&p->ended)) {
        if (vic_batch_put(batch, p->output, &err))
            pipeline_fail(p, batch->number, &err);
        else
            passed(p, batch);
    }
    pass_on(p, batch);
}

/* On a worker thread: no Lua, nothing but the batch and what the lock guards. */
static void pipeline_run(struct vic_batch *batch,
                         struct libdeflate_decompressor *inflater)
{
    struct vic_pipeline *p = batch->owner;
    struct vic_error err;

    if (!atomic_load(&p->ended) && vic_batch_inflate(batch, inflater, &err))
        pipeline_fail(p, batch->number, &err);
    if (p->writes)
        vic_batch_queue_push(&p->inflated, batch);
    else
        pipeline_put(p, batch);
}

/* On the writer's thread: no Lua. Ends when no batch can follow. */
static void *writer_thread(void *arg)
{
    struct vic_pipeline *p = arg;
    struct vic_batch *batch;

    while ((batch = vic_batch_queue_pop(&p->inflated)))
        pipeline_put(p, batch);
    return NULL;
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
        if (!atomic_load(&p->ended) && vic_ordered_add(&p->ordered, batch, &err))
            pipeline_fail(p, batch->number, &err);
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
    while (!p->free && p->made == BATCHES && !atomic_load(&p->ended))
        pthread_cond_wait(&p->changed, &p->lock);
    if (!atomic_load(&p->ended)) {
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
        pipeline_fail(p, 0, &err);
    }
}

struct vic_pipeline *vic_pipeline_new(struct vic_output *output, struct vic_sink *ordered)
{
    struct vic_pipeline *p = vic_alloc(sizeof(*p));

    p->batches.sized = pipeline_sized;
    p->batches.take = pipeline_take;
    p->batches.submit = pipeline_submit;
    p->all = vic_batches_new(BATCHES, p, pipeline_run);
    p->output = output;
    p->ordered.sink = ordered;
    p->ordered.ended = &p->ended;
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
    atomic_store(&p->ended, true);
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
    if (p->ordered.sink && !p->ordered.disordered &&
        vic_ordered_fill(&p->ordered, capacity, err))
        return -1;
    atomic_store(&p->position, capacity);
    return 0;
}

void vic_pipeline_insist_on_order(struct vic_pipeline *p)
{
    p->ordered.ascending = true;
}

void vic_pipeline_watch(struct vic_pipeline *p, struct vic_batch_watcher *watcher)
{
    p->ordered.watcher = watcher;
    if (!p->threaded)
        start_ordered(p);
}

bool vic_pipeline_in_order(const struct vic_pipeline *p)
{
    return !p->ordered.disordered;
}

uint64_t vic_pipeline_capacity(const struct vic_pipeline *p)
{
    return atomic_load(&p->capacity);
}

uint64_t vic_pipeline_position(const struct vic_pipeline *p)
{
    return atomic_load(&p->position);
}
