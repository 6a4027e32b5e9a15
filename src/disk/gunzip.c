/*
 * gunzip: see gunzip.h. How much comes out of it is bounded by who takes it: a decoder
 * refuses what is more than its disk.
 *
 * Source: RFC 1952.
 */
#include "gunzip.h"

#include "alloc.h"

#include <zlib.h>

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>

#define CHUNK ((size_t)256 * 1024)
#define GZIP  (MAX_WBITS + 16) /* a gzip header, and no other */

struct vic_gunzip {
    struct vic_sink sink;
    struct vic_sink *next;
    z_stream stream;
    uint64_t at; /* bytes taken */
    bool whole;  /* a member has ended, and no other has begun */
    unsigned char *buffer;
};

static int gunzip_damaged(const struct vic_gunzip *g, struct vic_error *err)
{
    const char *why = g->stream.msg ? g->stream.msg : "no gzip data";

    return vic_error_set(err, VIC_FORMAT,
                         "about byte %" PRIu64 ": damaged gzip data (%s)", g->at, why);
}

/* Inflates once, and passes on what came. */
static int gunzip_step(struct vic_gunzip *g, struct vic_error *err)
{
    size_t size;
    int code;

    if (g->whole && inflateReset(&g->stream) != Z_OK)
        return gunzip_damaged(g, err);
    g->whole = false;
    g->stream.next_out = g->buffer;
    g->stream.avail_out = (unsigned)CHUNK;
    code = inflate(&g->stream, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return gunzip_damaged(g, err);
    g->whole = code == Z_STREAM_END;
    size = CHUNK - g->stream.avail_out;
    return size ? g->next->write(g->next, g->buffer, size, err) : 0;
}

static int gunzip_write(struct vic_sink *sink, const void *data, size_t size,
                        struct vic_error *err)
{
    struct vic_gunzip *g = (struct vic_gunzip *)sink;

    if (size > UINT_MAX)
        return vic_error_set(err, VIC_INTERNAL, "a piece of %zu bytes", size);
    g->stream.next_in = (unsigned char *)data;
    g->stream.avail_in = (unsigned)size;
    do {
        if (gunzip_step(g, err))
            return -1;
    } while (g->stream.avail_in || (!g->stream.avail_out && !g->whole));
    g->at += size;
    return 0;
}

static int gunzip_end(struct vic_sink *sink, struct vic_error *err)
{
    struct vic_gunzip *g = (struct vic_gunzip *)sink;

    if (!g->whole)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the gzip data are cut off", g->at);
    return g->next->end(g->next, err);
}

struct vic_gunzip *vic_gunzip_new(struct vic_sink *next)
{
    struct vic_gunzip *g = vic_alloc(sizeof(*g));

    g->sink.write = gunzip_write;
    g->sink.end = gunzip_end;
    g->next = next;
    g->buffer = vic_alloc(CHUNK);
    if (inflateInit2(&g->stream, GZIP) != Z_OK)
        abort(); /* out of memory */
    return g;
}

void vic_gunzip_free(struct vic_gunzip *g)
{
    if (!g)
        return;
    inflateEnd(&g->stream);
    free(g->buffer);
    free(g);
}

struct vic_sink *vic_gunzip_sink(struct vic_gunzip *g)
{
    return &g->sink;
}
