/*
 * batch_queue: batches that wait for a thread, first in, first out.
 */
#ifndef VIC_BATCH_QUEUE_H
#define VIC_BATCH_QUEUE_H

#include <pthread.h>

#include <stdbool.h>

struct vic_batch;

struct vic_batch_queue {
    pthread_mutex_t lock;
    pthread_cond_t ready;
    struct vic_batch *first, *last;
    bool closed;
};

#define VIC_BATCH_QUEUE                                                                  \
    {                                                                                    \
        .lock = PTHREAD_MUTEX_INITIALIZER, .ready = PTHREAD_COND_INITIALIZER             \
    }

/* From any thread. */
void vic_batch_queue_push(struct vic_batch_queue *queue, struct vic_batch *batch);

/* The first one; waits for it. NULL: closed, and empty. */
struct vic_batch *vic_batch_queue_pop(struct vic_batch_queue *queue);

/* None follows. */
void vic_batch_queue_close(struct vic_batch_queue *queue);

#endif
