/*
 * files: small files, read and written whole. Everything here blocks: it is for worker
 * threads. Any thread; nothing is shared.
 *
 * Where a function takes `stop`, it looks there between two steps, and if that has
 * become true ends with kind cancelled and leaves nothing half done. NULL: never.
 */
#ifndef VIC_FILES_H
#define VIC_FILES_H

#include "error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a file, a pipe or a device to its end; kind invalid if that is more than
 * `most` bytes. free() *data. */
int vic_file_read(const char *path, size_t most, const atomic_bool *stop, char **data,
                  size_t *size, struct vic_error *err);

/* `most` bytes of a file from `offset` on, or all that it has there. free() *data. */
int vic_file_part(const char *path, uint64_t offset, size_t most, char **data,
                  size_t *size, struct vic_error *err);

/* Puts a whole new file in the place of `path`, durably: whoever looks, also after a
 * power cut, finds all of the old or all of the new one. While it is made it has no
 * name, or where the file system cannot do that, ".NAME.XXXXXX.new" beside `path`. */
int vic_file_write(const char *path, const char *data, size_t size, unsigned mode,
                   const atomic_bool *stop, struct vic_error *err);

/* Makes `from` durable in the place of `to`. */
int vic_file_rename(const char *from, const char *to, struct vic_error *err);

#endif
