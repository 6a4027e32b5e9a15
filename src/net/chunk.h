/*
 * chunk: bytes in order, of which some are wanted and those between them are dropped.
 *
 * Any thread, one at a time. It holds what came and was not asked for yet: who puts in
 * looks at vic_chunk_full() first.
 */
#ifndef VIC_CHUNK_H
#define VIC_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vic_chunk {
    uint64_t skip; /* bytes to be dropped before ... */
    size_t want;   /* ... so many that are wanted */
    char *data;    /* what came, from `start` to `end` */
    size_t room, start, end;
};

void vic_chunk_clear(struct vic_chunk *chunk);

/* The next bytes that are wanted, and how many are dropped before. */
void vic_chunk_ask(struct vic_chunk *chunk, uint64_t skip, size_t want);

/* Whether there is so much that no more should come. */
bool vic_chunk_full(const struct vic_chunk *chunk);

/* Whether all that was asked for is there. */
bool vic_chunk_ready(const struct vic_chunk *chunk);

void vic_chunk_add(struct vic_chunk *chunk, const char *bytes, size_t size);

/* Takes out what was asked for, or less where less is there. Valid until bytes are
 * added. */
const char *vic_chunk_take(struct vic_chunk *chunk, size_t *size);

#endif
