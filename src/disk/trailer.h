/*
 * trailer: what stands at the end of a stream that begins like a raw disk.
 */
#ifndef VIC_TRAILER_H
#define VIC_TRAILER_H

#include "error.h"

#include <stdint.h>

#define VIC_TRAILER 512u /* bytes that it takes */

/* The disk's bytes in a stream of `size` of which `last` are the last ones: fewer where
 * they are the footer of a fixed VHD. Fails for a trailer of anything else. */
int vic_trailer_check(const unsigned char last[VIC_TRAILER], uint64_t size,
                      uint64_t *disk, struct vic_error *err);

#endif
