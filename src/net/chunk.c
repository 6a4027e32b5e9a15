/*
 * chunk: see chunk.h.
 */
#include "chunk.h"

#include "alloc.h"
#include "least.h"

#include <stdlib.h>
#include <string.h>

#define FULL ((size_t)256 * 1024)

void vic_chunk_clear(struct vic_chunk *chunk)
{
    free(chunk->data);
    memset(chunk, 0, sizeof(*chunk));
}

void vic_chunk_ask(struct vic_chunk *chunk, uint64_t skip, size_t want)
{
    size_t here = vic_least_size(skip, chunk->end - chunk->start);

    chunk->start += here;
    chunk->skip = skip - here;
    chunk->want = want;
}

bool vic_chunk_full(const struct vic_chunk *chunk)
{
    size_t here = chunk->end - chunk->start;

    return here >= FULL && here >= chunk->want;
}

bool vic_chunk_ready(const struct vic_chunk *chunk)
{
    return !chunk->skip && chunk->end - chunk->start >= chunk->want;
}

void vic_chunk_add(struct vic_chunk *chunk, const char *bytes, size_t size)
{
    size_t drop = vic_least_size(chunk->skip, size);
    size_t here = chunk->end - chunk->start;

    chunk->skip -= drop;
    bytes += drop;
    size -= drop;
    if (!size)
        return;
    if (chunk->start) {
        memmove(chunk->data, chunk->data + chunk->start, here);
        chunk->start = 0;
        chunk->end = here;
    }
    if (chunk->room < here + size) {
        chunk->room = here + size;
        chunk->data = vic_realloc(chunk->data, chunk->room);
    }
    memcpy(chunk->data + here, bytes, size);
    chunk->end += size;
}

const char *vic_chunk_take(struct vic_chunk *chunk, size_t *size)
{
    const char *bytes = chunk->data ? chunk->data + chunk->start : "";

    *size = vic_least_size(chunk->want, chunk->end - chunk->start);
    chunk->start += *size;
    chunk->want = 0;
    return bytes;
}
