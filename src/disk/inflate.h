/*
 * inflate: the threads that all transfers share: they inflate batches and put what
 * comes out where it belongs. They start with the first batch, cores + 2 of them
 * (some wait for the disk while others inflate), and stay.
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
