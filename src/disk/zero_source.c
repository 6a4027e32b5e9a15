/*
 * zero_source: the stream is zeros, of a disk that nobody has written to.
 */
#include "source.h"

#include "alloc.h"
#include "least.h"

#include <stdlib.h>

#define CHUNK (512 * 1024)

struct zero_source {
    struct vic_source source; /* first, so that a vic_source * is a zero_source * */
    uint64_t size;
};

static int zero_run(struct vic_source *source, struct vic_sink *sink,
                    struct vic_error *err)
{
    uint64_t left = ((struct zero_source *)source)->size;
    unsigned char *zeros = vic_alloc(CHUNK);
    int result = 0;

    while (left && !result) {
        size_t n = vic_least_size(left, CHUNK);

        if (atomic_load(&source->stopped))
            result = vic_error_set(err, VIC_CANCELLED, "stopped");
        else
            result = sink->write(sink, zeros, n, err);
        atomic_fetch_add(&source->received, n);
        left -= n;
    }
    free(zeros);
    return result;
}

static void zero_stop(struct vic_source *source)
{
    atomic_store(&source->stopped, true);
}

static void zero_free(struct vic_source *source)
{
    free(source->name);
    free(source);
}

struct vic_source *vic_zero_source_new(uint64_t size)
{
    struct zero_source *zero = vic_alloc(sizeof(*zero));

    zero->source.run = zero_run;
    zero->source.stop = zero_stop;
    zero->source.free = zero_free;
    zero->source.name = vic_strdup("an empty disk");
    zero->source.framed = true;
    zero->size = size;
    return &zero->source;
}
