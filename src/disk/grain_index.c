/*
 * grain_index: a head of one block, then an entry for each grain: the sector of its
 * record in the stream, and its compressed size in the lowest 24 bits.
 */
#include "grain_index.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define HEAD        4096u
#define RECORD_HEAD 12u /* bytes of a record before a grain's data */
#define RUN         256u

struct head {
    char magic[8];
    uint64_t capacity, size;
    uint32_t grain, order; /* order: 1, to tell another machine's bytes */
};

static const char MAGIC[8] = "VICGRAIN";

static uint64_t entry_of(const struct vic_piece *piece)
{
    return piece->at / 512 << 24 | piece->input_size;
}

static int grain_index_put(const struct vic_grain_index *index, uint64_t number,
                           const uint64_t *entries, unsigned count, struct vic_error *err)
{
    size_t size = count * sizeof(*entries);
    off_t at = (off_t)(HEAD + number * sizeof(*entries));

    if (pwrite(index->fd, entries, size, at) != (ssize_t)size)
        return vic_error_errno(err, errno ? errno : ENOSPC, "writing the grain index");
    return 0;
}

int vic_grain_index_add(struct vic_grain_index *index, const struct vic_batch *batch,
                        struct vic_error *err)
{
    uint64_t entries[RUN];
    uint64_t first = 0;
    unsigned count = 0;
    unsigned i;

    for (i = 0; i < batch->count; i++) {
        const struct vic_piece *piece = &batch->pieces[i];
        uint64_t number;

        index->grain = piece->whole;
        number = piece->offset / piece->whole;
        if (count && (number != first + count || count == RUN)) {
            if (grain_index_put(index, first, entries, count, err))
                return -1;
            count = 0;
        }
        if (!count)
            first = number;
        entries[count++] = entry_of(piece);
    }
    return count ? grain_index_put(index, first, entries, count, err) : 0;
}

int vic_grain_index_find(const struct vic_grain_index *index, uint64_t number,
                         struct vic_grain_place *place)
{
    uint64_t entry = 0;
    ssize_t n =
        pread(index->fd, &entry, sizeof(entry), (off_t)(HEAD + number * sizeof(entry)));

    if (n != 0 && n != sizeof(entry)) /* 0: a hole at the end */
        return -1;
    place->size = (uint32_t)(entry & 0xffffff);
    place->at = (entry >> 24) * 512 + RECORD_HEAD;
    return place->size > 2 * index->grain ? -1 : 0;
}

int vic_grain_index_finish(struct vic_grain_index *index, struct vic_error *err)
{
    struct head head = { .capacity = index->capacity,
                         .size = index->size,
                         .grain = index->grain,
                         .order = 1 };

    memcpy(head.magic, MAGIC, sizeof(MAGIC));
    if (pwrite(index->fd, &head, sizeof(head), 0) != sizeof(head))
        return vic_error_errno(err, errno ? errno : ENOSPC, "writing the grain index");
    return 0;
}

int vic_grain_index_load(struct vic_grain_index *index)
{
    struct head head;

    if (pread(index->fd, &head, sizeof(head), 0) != sizeof(head) ||
        memcmp(head.magic, MAGIC, sizeof(MAGIC)) != 0 || head.order != 1 ||
        head.capacity != index->capacity || head.size == 0 || head.grain > 1u << 20)
        return -1;
    index->size = head.size;
    index->grain = head.grain;
    return 0;
}
