/*
 * folders: what is in them, and about it: names, sizes, space, locks. Everything here
 * blocks: it is for worker threads. Any thread; nothing is shared.
 */
#ifndef VIC_FOLDERS_H
#define VIC_FOLDERS_H

#include "error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct vic_file_stat {
    int64_t size;
    int64_t blocks_bytes; /* what it takes on the disk */
    double mtime;         /* seconds since 1970 */
    unsigned mode;        /* permission bits */
    unsigned uid;
    const char *kind; /* "file", "directory", "link" or "other" */
};

/* `recursive`: with all that is in it; links are removed, never followed. When `stop`
 * (may be NULL) becomes true it ends with kind cancelled. */
int vic_file_remove(const char *path, bool missing_ok, bool recursive,
                    const atomic_bool *stop, struct vic_error *err);

/* A folder that is there already is fine. `parents`: makes them too. */
int vic_folder_make(const char *path, unsigned mode, bool parents, struct vic_error *err);

/* As vic_folder_make() with parents, for us alone: it must be no link, ours, and not for all
 * to write; what is left of others' rights goes. */
int vic_folder_make_private(const char *path, struct vic_error *err);

/* The names in it in byte order, ended by NULL. free() each, then the list. */
int vic_folder_list(const char *path, char ***names, struct vic_error *err);

int vic_file_stat(const char *path, bool follow, struct vic_file_stat *stat,
                  struct vic_error *err);

/* What an unprivileged user can still write to the file system of `path`. */
int vic_file_space(const char *path, uint64_t *free_bytes, uint64_t *total_bytes,
                   struct vic_error *err);

/* Takes the lock that is on the file (made if missing) or folder, without waiting;
 * kind busy if somebody else has it. close() *fd gives it back. */
int vic_file_lock(const char *path, int *fd, struct vic_error *err);

#endif
