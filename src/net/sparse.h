/*
 * sparse: reads a file whose holes take no disk, and leaves them alone: reading them
 * would fill the page cache with zeros, a page for each. One thread at a time.
 */
#ifndef VIC_SPARSE_H
#define VIC_SPARSE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One of zeros but for `fd` and `size` is ready. */
struct vic_sparse {
    int fd; /* the owner closes it */
    uint64_t size;
    uint64_t data, hole; /* what was last looked up: data from `data` up to `hole` */
};

/* Whether there is a hole at all; where nobody can tell, there is none. */
bool vic_sparse_has_holes(const struct vic_sparse *s);

/* Up to `max` bytes at `position`, which is below the size. 0: the file has become
 * shorter; -1: errno. */
ssize_t vic_sparse_read(struct vic_sparse *s, uint64_t position, void *buffer,
                        size_t max);

#endif
