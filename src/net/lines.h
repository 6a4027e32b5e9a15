/*
 * lines: cuts a stream of bytes into lines, however it was split on its way.
 *
 * Any thread, one at a time. It holds what was put in and not yet taken out, and a
 * line of at most `most` bytes: who puts in looks at vic_lines_full() first.
 */
#ifndef VIC_LINES_H
#define VIC_LINES_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

struct vic_lines {
    size_t most; /* bytes of one line; set by its maker, all else zero */
    char *data;
    size_t room;
    size_t start; /* of the first line */
    size_t whole; /* end of the last whole line */
    size_t end;   /* of what is in there */
};

void vic_lines_clear(struct vic_lines *lines);

/* Whether there are so many bytes of whole lines that no more should come. */
bool vic_lines_full(const struct vic_lines *lines);

/* Whether a whole line is there. */
bool vic_lines_ready(const struct vic_lines *lines);

/* kind http: a line is longer than `most`. */
int vic_lines_add(struct vic_lines *lines, const char *bytes, size_t size,
                  struct vic_error *err);

/* Takes out the next line, without its end (LF or CR LF); NULL: none is whole. Valid
 * until bytes are added. */
const char *vic_lines_next(struct vic_lines *lines, size_t *size);

/* Takes out what follows the last line's end; NULL: nothing. */
const char *vic_lines_rest(struct vic_lines *lines, size_t *size);

#endif
