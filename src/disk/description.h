/*
 * description: what describes a disk's stream, whatever becomes of the disk.
 */
#ifndef VIC_DESCRIPTION_H
#define VIC_DESCRIPTION_H

#include "digest.h"
#include "source.h"

/* VIC_DISK_STREAM: any bytes, kept as they come, for somebody else to decode. */
enum vic_disk_format { VIC_DISK_VMDK, VIC_DISK_RAW, VIC_DISK_STREAM };

struct vic_description {
    const char *file;                 /* the stream is this file, ... */
    uint64_t zeros;                   /* ... or so many zeros, ... */
    struct vic_http_source_opts http; /* ... or this GET */
    enum vic_disk_format format;
    bool gzip;         /* the stream is that, compressed so */
    bool guessed;      /* raw, because nobody said so and no header says otherwise */
    uint64_t capacity; /* bytes that the disk must have, 0: any */
    uint64_t size;     /* bytes that the stream must have, 0: any */
    unsigned digests;  /* of the stream: bits 1u << VIC_SHA1 ... */
    enum vic_algorithm expected_algorithm;
    const char *expected; /* that digest must have this value (hex), or NULL */
};

/* A copy, to be read again and again. Deep: nothing of `d` is needed afterwards. */
struct vic_description *vic_description_copy(const struct vic_description *d);
void vic_description_free(struct vic_description *d);

/* NULL: nobody can read it like that, see *err. */
struct vic_source *vic_description_source(const struct vic_description *d,
                                          struct vic_error *err);

/* 0: it can be read, as far as one sees without asking; else -1, see *err. */
int vic_description_check(const struct vic_description *d, struct vic_error *err);

#endif
