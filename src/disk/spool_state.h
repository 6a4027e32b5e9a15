/*
 * spool_state: what a spool is, for its own two files: spool.c, which opens it and gives
 * it out, and spool_fetch.c, which fills it.
 */
#ifndef VIC_SPOOL_STATE_H
#define VIC_SPOOL_STATE_H

#include "rate.h"
#include "spool.h"
#include "spool_reader.h"
#include "stages.h"

#include <pthread.h>

enum vic_spool_name {
    VIC_SPOOL_STREAM,
    VIC_SPOOL_STREAM_PART,
    VIC_SPOOL_INDEX,
    VIC_SPOOL_INDEX_PART,
    VIC_SPOOL_ETAG,
    VIC_SPOOL_NAMES,
};

struct vic_spool {
    struct vic_image image; /* first, so that an image * is a spool * */
    char *names[VIC_SPOOL_NAMES];
    struct vic_spool_shared shared;

    pthread_mutex_t lock;      /* all below */
    struct vic_stages *stages; /* of the fetch under way, or NULL */
    bool fetching;
    const atomic_bool *cancelled; /* of the fetch under way: its caller's */
    struct vic_disk_progress progress;
    struct vic_rate rate;
    int status;
};

/* Of the disk so much can be read; all of it: it is whole. */
void vic_spool_announce(struct vic_spool *s, uint64_t frontier);

/* Readers of a fetch that has failed break off, those too that wait for its first byte;
 * later ones wait for the next. */
void vic_spool_break_off(struct vic_spool *s);

/* Puts other files in the place of those that readers have. */
void vic_spool_use(struct vic_spool *s, int fd, int index_fd);

#endif
