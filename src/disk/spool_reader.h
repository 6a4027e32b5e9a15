/*
 * spool_reader: a part of a spool's disk, inflated as it is asked for.
 */
#ifndef VIC_SPOOL_READER_H
#define VIC_SPOOL_READER_H

#include "batch.h"
#include "grain_index.h"
#include "image.h"

#include <pthread.h>

struct vic_spool_reader;

/* What a spool and its readers share. */
struct vic_spool_shared {
    pthread_mutex_t lock; /* all of it */
    int fd;               /* of the stream, or -1 */
    struct vic_grain_index index;
    uint64_t frontier; /* bytes of the disk that can be read */
    unsigned round;    /* readers of an earlier one break off */
    struct vic_spool_reader *waiting;
    const struct vic_batch *lent;      /* inflated, in the index too; or NULL */
    struct vic_spool_reader *follower; /* is close behind what comes; or NULL */
    double alone_until;                /* vic_now(): no follower before that */
    pthread_cond_t caught_up;          /* the follower has all, or there is none */
};

/* The lock, and nothing to read. */
void vic_spool_shared_init(struct vic_spool_shared *shared);
void vic_spool_shared_destroy(struct vic_spool_shared *shared);

/* Under the lock: whoever waits looks again. */
void vic_spool_wake(struct vic_spool_shared *shared);

/* Until it is taken back readers need not inflate once more what this batch has. */
void vic_spool_lend(struct vic_spool_shared *shared, const struct vic_batch *batch);

/* Waits for the follower as long as it goes on fast enough: who is slower reads from the
 * file. */
void vic_spool_take_back(struct vic_spool_shared *shared);

/* It references `image` until it is closed. */
struct vic_image_reader *vic_spool_reader_new(struct vic_spool_shared *shared,
                                              struct vic_image *image, uint64_t first,
                                              uint64_t length,
                                              const struct vic_image_waiter *waiter);

#endif
