/*
 * output: where the bytes of a disk go, each with its place. What is never put
 * reads as zeros.
 */
#ifndef VIC_OUTPUT_H
#define VIC_OUTPUT_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vic_output {
    /* The disk has `capacity` bytes. Once, before or after the puts. */
    int (*resize)(struct vic_output *output, uint64_t capacity, struct vic_error *err);
    /* From any thread, in any order, several at once; never the same bytes twice.
     * `offset` and the address of `data` are multiples of 4096. */
    int (*put)(struct vic_output *output, uint64_t offset, const unsigned char *data,
               size_t size, struct vic_error *err);
    /* `put` waits for a device: a thread that does nothing else had better call it. */
    bool waits;
};

/* Keeps nothing; a disk that begins with another format's magic is refused all the same. */
extern struct vic_output vic_nowhere;

#endif
