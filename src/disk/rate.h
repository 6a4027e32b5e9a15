/*
 * rate: bytes per second, about now, from a counter that somebody looks at now and then.
 */
#ifndef VIC_RATE_H
#define VIC_RATE_H

#include <stdint.h>

struct vic_rate {
    double at; /* 0: not looked at yet */
    uint64_t count;
    double value;
};

/* The counter stands at `count` now. */
double vic_rate_update(struct vic_rate *rate, uint64_t count);

#endif
