/*
 * window: a stream that is a part of a larger file, as a member of an archive is.
 *
 * Asked for by a Range. Where the server gives all of the file in its stead, what comes
 * before the window is dropped, and what comes after it is not waited for.
 */
#ifndef VIC_WINDOW_H
#define VIC_WINDOW_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vic_window {
    uint64_t offset; /* of its first byte in the file; set by its maker, as is ... */
    uint64_t length; /* ... its bytes; 0: there is no window */
    uint64_t drop;   /* bytes of the answer that come before it */
    bool from_start; /* the server gives all of the file, and no part of it */
};

#define VIC_WINDOW_RANGE 48

/* Whether there can be such a one. */
int vic_window_check(const struct vic_window *w, struct vic_error *err);

/* What a Range must say for what follows the first `have` bytes; false: nothing, it is
 * all of the file. */
bool vic_window_range(const struct vic_window *w, uint64_t have,
                      char text[VIC_WINDOW_RANGE]);

/* Is the first answer, of that status, the window, or a file that has it?
 *
 *   start, total  as its Content-Range says; total 0: it does not
 *   length        of its body, -1: not said */
int vic_window_answered(struct vic_window *w, long status, uint64_t start, uint64_t total,
                        int64_t length, struct vic_error *err);

/* Of a piece of the answer what belongs to the window, of which `have` bytes are here:
 * moves *data, returns its size. */
size_t vic_window_take(struct vic_window *w, uint64_t have, char **data, size_t size);

/* Whether nothing follows the first `have` bytes; false where there is no window. */
bool vic_window_is_full(const struct vic_window *w, uint64_t have);

/* -1, *err: an answer, or the file, has ended, and the window is not full. */
int vic_window_ended(const struct vic_window *w, uint64_t have, enum vic_error_kind kind,
                     struct vic_error *err);

#endif
