/*
 * stages: what a disk's stream passes, whatever becomes of the disk:
 *
 *   source ──▶ digest of the stream ──▶ decoder ──▶ pipeline ──▶ output, ordered sink
 *
 * run belongs to one thread; stop and progress may come from any.
 */
#ifndef VIC_STAGES_H
#define VIC_STAGES_H

#include "description.h"
#include "outcome.h"
#include "output.h"
#include "pipeline.h"

struct vic_stages;

/* `d` is copied. `ordered` may be NULL. NULL: nothing was begun, see *err. */
struct vic_stages *vic_stages_new(const struct vic_description *d,
                                  struct vic_output *output, struct vic_sink *ordered,
                                  struct vic_error *err);
void vic_stages_free(struct vic_stages *stages);

/* Puts `sink` between the source and its digest: it has to pass on all it gets, to
 * vic_stages_head(). Before run. */
void vic_stages_tap(struct vic_stages *stages, struct vic_sink *sink);
struct vic_sink *vic_stages_head(struct vic_stages *stages);

/* As vic_pipeline_watch(). Before run. */
void vic_stages_watch(struct vic_stages *stages, struct vic_batch_watcher *watcher);

/* Begins with the bytes of this file, and asks the server for those that follow, if the
 * stream is still the one of that `etag`. Before run. */
void vic_stages_resume(struct vic_stages *stages, const char *file, const char *etag);

/* Pieces that do not ascend are an error. Before run. */
void vic_stages_insist_on_order(struct vic_stages *stages);

/* 0: the stream has ended, soundly, and is what its description says. */
int vic_stages_run(struct vic_stages *stages, struct vic_error *err);

/* Makes run fail soon, with kind cancelled. */
void vic_stages_stop(struct vic_stages *stages);
bool vic_stages_stopped(const struct vic_stages *stages);

/* What was done with the disk afterwards has failed: gives *err, set, the form of run's.
 * Returns -1. */
int vic_stages_fail(struct vic_stages *stages, struct vic_error *err);

/* Whether the pieces came ascending. After run. */
bool vic_stages_in_order(const struct vic_stages *stages);

void vic_stages_progress(struct vic_stages *stages, struct vic_disk_progress *progress);

/* HTTP status if that was the error, else 0. After run. */
int vic_stages_status(const struct vic_stages *stages);

/* What the server calls this state of the stream, or "". Of the thread that runs. */
const char *vic_stages_etag(const struct vic_stages *stages);

/* Of the stream, "" where it was not asked for. After run. */
const char *vic_stages_digest(const struct vic_stages *stages,
                              enum vic_algorithm algorithm);

#endif
