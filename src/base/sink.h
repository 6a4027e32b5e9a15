/*
 * sink: a consumer of bytes in order. Sinks chain: one that passes bytes on has
 * the next one in it.
 *
 * A sink belongs to whoever made it; who writes into it neither ends nor frees
 * what is behind it. One thread at a time.
 */
#ifndef VIC_SINK_H
#define VIC_SINK_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

struct vic_sink {
    /* Takes all `size` bytes, or fails. After a failure nothing more is written. */
    int (*write)(struct vic_sink *sink, const void *data, size_t size,
                 struct vic_error *err);
    /* The bytes are over, and were all there are. Once, after the last write;
     * a sink that knows that something is missing fails. */
    int (*end)(struct vic_sink *sink, struct vic_error *err);
    /* Takes that many zeros at once. NULL: they are to be written. */
    int (*skip)(struct vic_sink *sink, uint64_t size, struct vic_error *err);
    /* NULL: it keeps no pointer into what was written. Else what was written may change
     * once this has returned, and not before. */
    int (*flush)(struct vic_sink *sink, struct vic_error *err);
};

#endif
