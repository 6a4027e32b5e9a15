/*
 * pace: whether a stream comes as fast as it must, on average over a while. Time in which
 * it is not asked for (who takes it is slower) does not count. Pure; any thread, one at a
 * time.
 */
#ifndef VIC_PACE_H
#define VIC_PACE_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

/* The first two are its maker's. */
struct vic_pace {
    double least; /* bytes in a second; 0: it may be as slow as it likes */
    double over;  /* seconds that are looked at as one */
    double began, held;
    uint64_t bytes;
};

/* Now it is asked for. */
void vic_pace_begin(struct vic_pace *pace, double now);

/* So many bytes came, and for so many seconds no more were taken. */
void vic_pace_took(struct vic_pace *pace, size_t bytes, double held);

/* Seconds until it must be looked at again. */
double vic_pace_left(const struct vic_pace *pace, double now);

/* -1 and *err (kind timeout): too little came in this while. Begins the next one. */
int vic_pace_check(struct vic_pace *pace, double now, struct vic_error *err);

#endif
