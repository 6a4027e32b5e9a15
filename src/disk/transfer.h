/*
 * transfer: one disk on its way to its destination, on a thread of its own:
 *
 *   source ──▶ digest of the stream ──▶ decoder ──▶ pipeline ──▶ sparse raw file
 *                                                          └──▶ digest of the disk
 *
 * Either the whole sound disk gets its name, or nothing remains. Start, cancel,
 * progress and result belong to one thread (the loop's); `ended` is called on the
 * transfer's thread, as the last thing it does.
 */
#ifndef VIC_TRANSFER_H
#define VIC_TRANSFER_H

#include "description.h"
#include "outcome.h"

struct vic_spool;

struct vic_transfer_opts {
    struct vic_description stream;
    const char *output;      /* goes there as a raw file, or ... */
    struct vic_spool *spool; /* ... as it comes into this */
    bool sha512;             /* of the disk */
    void (*ended)(void *arg);
    void *arg;
};

struct vic_transfer;

/* Everything in `opts` is copied. NULL: nothing was begun. */
struct vic_transfer *vic_transfer_start(const struct vic_transfer_opts *opts,
                                        struct vic_error *err);

/* Has it end soon, with an error of kind cancelled if it is not done already. */
void vic_transfer_cancel(struct vic_transfer *transfer);

void vic_transfer_progress(struct vic_transfer *transfer,
                           struct vic_disk_progress *progress);

/* Waits for the thread; after `ended` that is at once. 0 and *result, or -1 and *err. */
int vic_transfer_join(struct vic_transfer *transfer, struct vic_disk_result *result,
                      struct vic_error *err);

/* HTTP status if that was the error, else 0. After join. */
int vic_transfer_status(const struct vic_transfer *transfer);

/* After join. */
void vic_transfer_free(struct vic_transfer *transfer);

#endif
