/*
 * spool: a VMDK stream kept as it came, beside it an index of its grains: an image any
 * part of which can be had as often as need be, also while the stream still comes.
 *
 *   PATH.vmdk.part  PATH.index.part  PATH.etag   while it comes
 *   PATH.vmdk       PATH.index                   whole, verified and durable
 *
 * What an earlier process left is used: a whole one as it is; of a part that came from a
 * server with ETags only the rest is asked for, while its beginning is verified again.
 * Bytes near the end are given out when all is verified, never before.
 *
 * Any thread; one fetch at a time, also of several processes: the part is locked.
 */
#ifndef VIC_SPOOL_H
#define VIC_SPOOL_H

#include "description.h"
#include "image.h"
#include "outcome.h"

struct vic_spool;

/* The spool at PATH; its folder is there. NULL: what is there cannot be read. */
struct vic_spool *vic_spool_open(const char *path, uint64_t capacity,
                                 struct vic_error *err);

/* Its maker lets go. Who reads it reads on if it is whole, and breaks off if not: nothing
 * more comes. */
void vic_spool_close(struct vic_spool *spool);

/* For the image server; until vic_spool_close() it holds one reference, the maker's. */
struct vic_image *vic_spool_image(struct vic_spool *spool);

bool vic_spool_is_whole(struct vic_spool *spool);

/* Fetches the stream that `d` describes, to its sound end. Returns on the thread that
 * called; `result` as a transfer's. kind busy: somebody does that already. */
int vic_spool_fetch(struct vic_spool *spool, const struct vic_description *d,
                    const atomic_bool *cancelled, struct vic_disk_result *result,
                    struct vic_error *err);

/* Sets `cancelled`, and makes the fetch that got it fail soon, with kind cancelled. */
void vic_spool_cancel(struct vic_spool *spool, atomic_bool *cancelled);

/* HTTP status if that was why the last fetch failed, else 0. */
int vic_spool_status(struct vic_spool *spool);

void vic_spool_progress(struct vic_spool *spool, struct vic_disk_progress *progress);

#endif
