/*
 * outcome: how far a disk is, and what came of it.
 */
#ifndef VIC_OUTCOME_H
#define VIC_OUTCOME_H

#include "digest.h"

#include <stdint.h>

struct vic_disk_progress {
    uint64_t received; /* bytes of the stream */
    uint64_t fetched;  /* of these, what came from the source and was not here before */
    uint64_t position; /* bytes of the disk that are passed */
    uint64_t capacity; /* of the disk, 0 while it is not known */
    double rate;       /* received per second, about now */
};

struct vic_disk_result {
    uint64_t capacity;
    uint64_t received;
    uint64_t written; /* bytes of the disk that are not zeros, in blocks of 4 KiB */
    char digests[VIC_ALGORITHMS][VIC_DIGEST_HEX]; /* of the stream, "" where not asked */
    char sha512[VIC_DIGEST_HEX];                  /* of the disk, or "" */
};

#endif
