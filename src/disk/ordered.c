#include "ordered.h"

#include <inttypes.h>

static const unsigned char zeros[256 * 1024];

int vic_ordered_fill(struct vic_ordered *o, uint64_t until, struct vic_error *err)
{
    if (o->sink->skip && o->at < until) {
        uint64_t size = until - o->at;

        o->at = until;
        return o->sink->skip(o->sink, size, err);
    }
    while (o->at < until) {
        uint64_t n = until - o->at;

        if (n > sizeof(zeros))
            n = sizeof(zeros);
        if (atomic_load(o->ended)) /* a hole may be terabytes long */
            return vic_error_set(err, VIC_CANCELLED, "stopped");
        if (o->sink->write(o->sink, zeros, (size_t)n, err))
            return -1;
        o->at += n;
    }
    return 0;
}

static int add_piece(struct vic_ordered *o, const struct vic_piece *piece,
                     const unsigned char *data, struct vic_error *err)
{
    if (piece->offset < o->at) {
        o->disordered = true;
        if (o->ascending)
            return vic_error_set(err, VIC_UNSUPPORTED,
                                 "byte %" PRIu64 ": the grains do not ascend: this "
                                 "stream cannot be passed on as it comes",
                                 piece->at);
        return 0;
    }
    if (vic_ordered_fill(o, piece->offset, err) ||
        o->sink->write(o->sink, data, piece->size, err))
        return -1;
    o->at += piece->size;
    return 0;
}

int vic_ordered_add(struct vic_ordered *o, const struct vic_batch *batch,
                    struct vic_error *err)
{
    unsigned i;

    if (o->watcher && o->watcher->see(o->watcher, batch, err))
        return -1;
    for (i = 0; o->sink && i < batch->count && !o->disordered; i++)
        if (add_piece(o, &batch->pieces[i], vic_batch_data(batch, i), err))
            return -1;
    /* The batch is used again, whatever became of its pieces. */
    return o->sink && o->sink->flush ? o->sink->flush(o->sink, err) : 0;
}
