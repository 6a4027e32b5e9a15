/*
 * destination: where a transfer takes a disk, and how it gets there.
 */
#ifndef VIC_DESTINATION_H
#define VIC_DESTINATION_H

#include "description.h"
#include "outcome.h"

struct vic_spool;

struct vic_destination {
    /* Fetches the disk, to its sound end: 0 and *result, or -1 and *err. On the
     * transfer's thread: no Lua. */
    int (*run)(struct vic_destination *d, struct vic_disk_result *result,
               struct vic_error *err);
    /* run fails soon, with kind cancelled; also one that has not begun. */
    void (*stop)(struct vic_destination *d);
    void (*progress)(struct vic_destination *d, struct vic_disk_progress *progress);
    /* HTTP status if that was the error, else 0. After run. */
    int (*status)(const struct vic_destination *d);
    void (*free)(struct vic_destination *d);
};

/* A raw file; `sha512`: its digest is computed, too. NULL: nothing was begun, see *err. */
struct vic_destination *vic_raw_destination_new(const struct vic_description *stream,
                                                const char *output, bool sha512,
                                                struct vic_error *err);

/* A spool; a reference to its image is held. NULL: the stream cannot be read like that. */
struct vic_destination *vic_spool_destination_new(const struct vic_description *stream,
                                                  struct vic_spool *spool,
                                                  struct vic_error *err);

#endif
