/*
 * inflate: one queue; workers wait for nothing else, so every batch that was submitted
 * comes back.
 */
#include "inflate.h"

#include "batch.h"
#include "batch_queue.h"

#include <libdeflate.h>
#include <unistd.h>

#include <stdlib.h>

#define WORKERS_MAX 64

static struct vic_batch_queue queue = VIC_BATCH_QUEUE;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* On a worker thread: no Lua, nothing but the batch. */
static void *worker(void *arg)
{
    struct libdeflate_decompressor *inflater = libdeflate_alloc_decompressor();
    struct vic_batch *batch;

    (void)arg;
    if (!inflater)
        abort();
    while ((batch = vic_batch_queue_pop(&queue)))
        batch->run(batch, inflater);
    return NULL;
}

static void inflate_start(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long i;

    if (cores < 1)
        cores = 1;
    for (i = 0; i < cores && i < WORKERS_MAX; i++) {
        pthread_attr_t attr;
        pthread_t thread;

        pthread_attr_init(&attr);
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        if (pthread_create(&thread, &attr, worker, NULL) != 0 && i == 0)
            abort();
        pthread_attr_destroy(&attr);
    }
}

void vic_inflate_submit(struct vic_batch *batch)
{
    pthread_once(&once, inflate_start);
    vic_batch_queue_push(&queue, batch);
}
