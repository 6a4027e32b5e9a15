/*
 * least: the smaller one of two counts of bytes.
 */
#ifndef VIC_LEAST_H
#define VIC_LEAST_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t vic_least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Of what memory holds: `most` is a size_t. */
static inline size_t vic_least_size(uint64_t a, size_t most)
{
    return a < most ? (size_t)a : most;
}

#endif
