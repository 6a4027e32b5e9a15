/*
 * part_file: a file that grows under a name of its own until it is whole, and the lock on it.
 * One process at a time writes it, also where several share a folder: who has not got the
 * lock does not write. A process that is killed loses it, one that is stopped keeps it.
 *
 * Blocks; any thread.
 */
#ifndef VIC_PART_FILE_H
#define VIC_PART_FILE_H

#include "error.h"

#include <stdbool.h>

/* Opens or creates it, locked until the last copy of the descriptor is closed; what is in
 * it stays. -1; kind busy: another process, or another descriptor of ours, has it. */
int vic_part_file_open(const char *path, struct vic_error *err);

/* Takes the lock of a file that is open; `path` for messages. */
int vic_part_file_lock(int fd, const char *path, struct vic_error *err);

/* Is it still the file of that name, and not removed or replaced? */
bool vic_part_file_is_at(int fd, const char *path);

/* The names in the folder of `path` are durable after it. */
int vic_part_file_sync_folder(const char *path, struct vic_error *err);

#endif
