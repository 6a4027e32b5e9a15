/*
 * raw: an output that is a sparse raw file. Blocks of zeros stay holes.
 *
 * Until vic_raw_commit() the file is called PATH.part; only a commit gives it its
 * name, and without one nothing of it remains. It bypasses the page cache where the
 * file system can do that, and else starts the writing back of each piece at once.
 *
 * put may come from any thread; the rest belongs to one.
 */
#ifndef VIC_RAW_H
#define VIC_RAW_H

#include "output.h"

struct vic_raw;

/* A .part that an earlier run left is removed. NULL: see err (busy: another
 * transfer writes it now). */
struct vic_raw *vic_raw_create(const char *path, struct vic_error *err);

/* It is no raw disk: its first bytes may be those of another format. */
void vic_raw_take_any(struct vic_raw *raw);

/* Removes what is not committed. */
void vic_raw_free(struct vic_raw *raw);

struct vic_output *vic_raw_output(struct vic_raw *raw);

/* Bytes that were not zeros, in blocks of 4 KiB. Any thread. */
uint64_t vic_raw_written(const struct vic_raw *raw);

/* Open for reading, with what was put so far. Stays the raw's. */
int vic_raw_fd(const struct vic_raw *raw);

/* Makes it durable and gives it its name. */
int vic_raw_commit(struct vic_raw *raw, struct vic_error *err);

#endif
