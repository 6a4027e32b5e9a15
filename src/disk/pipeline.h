/*
 * pipeline: the way of one disk's batches: the decoder fills them, workers inflate
 * them, a writer puts them, and what must be in order gets them in order.
 *
 *   decoder ──▶ batch ──▶ workers (inflate) ──▶ output->put ──▶ ordered stage ──▶ pool
 *
 * The pool of 8 batches is the only back-pressure: with none free the decoder waits,
 * and behind it curl, and the TCP window. Memory is that of the pool.
 *
 * take, submit and finish belong to the transfer's thread; stop may come from any.
 */
#ifndef VIC_PIPELINE_H
#define VIC_PIPELINE_H

#include "ordered.h"

struct vic_pipeline;

/* Puts into `output`. `ordered` gets the whole disk byte by byte, zeros included, on
 * a thread of its own; NULL: nothing needs that. */
struct vic_pipeline *vic_pipeline_new(struct vic_output *output,
                                      struct vic_sink *ordered);

/* Waits for what is still under way. */
void vic_pipeline_free(struct vic_pipeline *pipeline);

/* What a decoder needs. */
struct vic_batches *vic_pipeline_batches(struct vic_pipeline *pipeline);

/* No batch is handed out any more. */
void vic_pipeline_stop(struct vic_pipeline *pipeline);

/* Waits until every batch is done; then, if the disk is whole, the ordered sink gets
 * the zeros behind the last one. The error is that of the earliest batch. Not to be
 * followed by take or submit. */
int vic_pipeline_finish(struct vic_pipeline *pipeline, bool whole, struct vic_error *err);

/* Pieces that do not ascend are an error (kind unsupported), found when they come. Before
 * the first batch. */
void vic_pipeline_insist_on_order(struct vic_pipeline *pipeline);

/* On the ordered stage's thread. Before the first batch. */
void vic_pipeline_watch(struct vic_pipeline *pipeline, struct vic_batch_watcher *watcher);

/* Whether all pieces came in ascending order, so that `ordered` saw the disk. If not,
 * it saw nothing usable. After finish. */
bool vic_pipeline_in_order(const struct vic_pipeline *pipeline);

/* The disk's size as the decoder said it, 0 before. Any thread. */
uint64_t vic_pipeline_capacity(const struct vic_pipeline *pipeline);

/* Bytes of the disk that are passed, for progress. Any thread. */
uint64_t vic_pipeline_position(const struct vic_pipeline *pipeline);

#endif
