/*
 * description: a copy of what describes a disk's stream, to be read again and again.
 */
#ifndef VIC_DESCRIPTION_H
#define VIC_DESCRIPTION_H

#include "transfer.h"

struct vic_description {
    struct vic_transfer_opts opts; /* without output, ended and arg */
};

/* Deep: nothing of `opts` is needed afterwards. */
struct vic_description *vic_description_new(const struct vic_transfer_opts *opts);
void vic_description_free(struct vic_description *description);

#endif
