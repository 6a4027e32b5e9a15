#include "batch_queue.h"

#include "batch.h"

void vic_batch_queue_push(struct vic_batch_queue *queue, struct vic_batch *batch)
{
    batch->next = NULL;
    pthread_mutex_lock(&queue->lock);
    if (queue->first)
        queue->last->next = batch;
    else
        queue->first = batch;
    queue->last = batch;
    pthread_cond_signal(&queue->ready);
    pthread_mutex_unlock(&queue->lock);
}

struct vic_batch *vic_batch_queue_pop(struct vic_batch_queue *queue)
{
    struct vic_batch *batch;

    pthread_mutex_lock(&queue->lock);
    while (!queue->first && !queue->closed)
        pthread_cond_wait(&queue->ready, &queue->lock);
    batch = queue->first;
    if (batch)
        queue->first = batch->next;
    pthread_mutex_unlock(&queue->lock);
    return batch;
}

void vic_batch_queue_close(struct vic_batch_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->ready);
    pthread_mutex_unlock(&queue->lock);
}
