/*
 * transfer: one disk on its way, on a thread of its own:
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

#include "digest.h"
#include "error.h"
#include "source.h"

/* VIC_DISK_STREAM: any bytes, kept as they come, for somebody else to decode. */
enum vic_disk_format { VIC_DISK_VMDK, VIC_DISK_RAW, VIC_DISK_STREAM };

struct vic_spool;

struct vic_transfer_opts {
    const char *file;                 /* the stream is this file, or ... */
    struct vic_http_source_opts http; /* ... this GET */
    enum vic_disk_format format;
    bool guessed; /* raw, because nobody said so and no header says otherwise */
    const char *output;       /* goes there as a raw file, or ... */
    struct vic_spool *spool;  /* ... as it comes into this */
    uint64_t capacity; /* bytes that the disk must have, 0: any */
    uint64_t size;     /* bytes that the stream must have, 0: any */
    unsigned digests;  /* of the stream: bits 1u << VIC_SHA1 ... */
    enum vic_algorithm expected_algorithm;
    const char *expected; /* that digest must have this value (hex), or NULL */
    bool sha512;          /* of the disk */
    void (*ended)(void *arg);
    void *arg;
};

struct vic_transfer_progress {
    uint64_t received; /* bytes of the stream */
    uint64_t fetched;  /* of these, what came from the source and was not here before */
    uint64_t position; /* bytes of the disk that are passed */
    uint64_t capacity; /* of the disk, 0 while it is not known */
    double rate;       /* received per second, about now */
};

struct vic_transfer_result {
    uint64_t capacity;
    uint64_t received;
    uint64_t written; /* bytes of the disk that are not zeros, in blocks of 4 KiB */
    char digests[VIC_ALGORITHMS][VIC_DIGEST_HEX]; /* of the stream, "" where not asked */
    char sha512[VIC_DIGEST_HEX];                  /* of the disk, or "" */
};

struct vic_transfer;

/* Everything in `opts` is copied. NULL: nothing was begun. */
struct vic_transfer *vic_transfer_start(const struct vic_transfer_opts *opts,
                                        struct vic_error *err);

/* Has it end soon, with an error of kind cancelled if it is not done already. */
void vic_transfer_cancel(struct vic_transfer *transfer);

void vic_transfer_progress(struct vic_transfer *transfer,
                           struct vic_transfer_progress *progress);

/* Waits for the thread; after `ended` that is at once. 0 and *result, or -1 and *err. */
int vic_transfer_join(struct vic_transfer *transfer, struct vic_transfer_result *result,
                      struct vic_error *err);

/* HTTP status if that was the error, else 0. After join. */
int vic_transfer_status(const struct vic_transfer *transfer);

/* After join. */
void vic_transfer_free(struct vic_transfer *transfer);

#endif
