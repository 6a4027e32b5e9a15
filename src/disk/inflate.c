/*
 * inflate: one queue under one lock; workers never wait for anything but the queue
 * and the disk, so every batch that was submitted comes back.
 */
#include "inflate.h"

#include "batch.h"

#include <libdeflate.h>
#include <pthread.h>
#include <unistd.h>

#include <stdlib.h>

#define WORKERS_MAX 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ready = PTHREAD_COND_INITIALIZER;
static struct vic_batch *first;
static struct vic_batch **last = &first;
static bool started;

/* On a worker thread: no Lua, nothing but the batch. */
static void *worker(void *arg)
{
    struct libdeflate_decompressor *inflater = libdeflate_alloc_decompressor();

    (void)arg;
    if (!inflater)
        abort();
    for (;;) {
        struct vic_batch *batch;

        pthread_mutex_lock(&lock);
        while (!first)
            pthread_cond_wait(&ready, &lock);
        batch = first;
        first = batch->next;
        if (!first)
            last = &first;
        pthread_mutex_unlock(&lock);
        batch->next = NULL;
        batch->run(batch, inflater);
    }
    return NULL;
}

static void start(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long i;

    started = true;
    if (cores < 1)
        cores = 1;
    for (i = 0; i < cores + 2 && i < WORKERS_MAX; i++) {
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
    pthread_mutex_lock(&lock);
    if (!started)
        start();
    batch->next = NULL;
    *last = batch;
    last = &batch->next;
    pthread_cond_signal(&ready);
    pthread_mutex_unlock(&lock);
}
