/*
 * inflate: the threads that all transfers share, one for each core: they inflate
 * batches. They start with the first batch, and stay.
 *
 * Batches are run in the order in which they were submitted; several at once, so
 * they end in any order.
 */
#ifndef VIC_INFLATE_H
#define VIC_INFLATE_H

struct vic_batch;

/* Has batch->run() called on a worker thread, soon. From any thread. */
void vic_inflate_submit(struct vic_batch *batch);

#endif
