/*
 * gunzip: a sink that inflates what is a gzip file, of one member or several, and passes
 * that on. One thread at a time.
 */
#ifndef VIC_GUNZIP_H
#define VIC_GUNZIP_H

#include "sink.h"

struct vic_gunzip;

/* `next` takes what was inflated; it keeps no pointer into it. */
struct vic_gunzip *vic_gunzip_new(struct vic_sink *next);
void vic_gunzip_free(struct vic_gunzip *gunzip);

struct vic_sink *vic_gunzip_sink(struct vic_gunzip *gunzip);

#endif
