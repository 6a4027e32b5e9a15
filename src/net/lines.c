/*
 * lines: see lines.h. One buffer, whose front is given back when it is half empty.
 */
#include "lines.h"

#include "alloc.h"

#include <stdlib.h>
#include <string.h>

#define FULL ((size_t)256 * 1024)

void vic_lines_clear(struct vic_lines *lines)
{
    free(lines->data);
    lines->data = NULL;
    lines->room = lines->start = lines->whole = lines->end = 0;
}

bool vic_lines_full(const struct vic_lines *lines)
{
    /* A line that is not whole may be longer than that: it needs what follows. */
    return lines->whole - lines->start >= FULL;
}

bool vic_lines_ready(const struct vic_lines *lines)
{
    return lines->start < lines->whole;
}

static void lines_make_room(struct vic_lines *lines, size_t size)
{
    size_t used = lines->end - lines->start;

    if (lines->start > used) {
        memmove(lines->data, lines->data + lines->start, used);
        lines->whole -= lines->start;
        lines->start = 0;
        lines->end = used;
    }
    /* One huge line was here: its room is not kept for ever. */
    if (used == 0 && lines->room > 2 * FULL)
        vic_lines_clear(lines);
    if (lines->data && lines->end + size <= lines->room)
        return;
    while (lines->room < lines->end + size)
        lines->room = lines->room ? 2 * lines->room : 4096;
    lines->data = vic_realloc(lines->data, lines->room);
}

int vic_lines_add(struct vic_lines *lines, const char *bytes, size_t size,
                  struct vic_error *err)
{
    while (size > 0) {
        const char *lf = memchr(bytes, '\n', size);
        size_t part = lf ? (size_t)(lf - bytes) + 1 : size;

        if (lines->end - lines->whole + part - (lf != NULL) > lines->most)
            return vic_error_set(err, VIC_HTTP, "a line is longer than %zu bytes",
                                 lines->most);
        lines_make_room(lines, part);
        memcpy(lines->data + lines->end, bytes, part);
        lines->end += part;
        if (lf)
            lines->whole = lines->end;
        bytes += part;
        size -= part;
    }
    return 0;
}

const char *vic_lines_next(struct vic_lines *lines, size_t *size)
{
    const char *line;
    const char *lf;

    if (!lines->data || !vic_lines_ready(lines))
        return NULL;
    line = lines->data + lines->start;
    lf = memchr(line, '\n', lines->whole - lines->start);
    *size = (size_t)(lf - line);
    lines->start += *size + 1;
    if (*size > 0 && line[*size - 1] == '\r')
        --*size;
    return line;
}

const char *vic_lines_rest(struct vic_lines *lines, size_t *size)
{
    const char *line = lines->data + lines->start;

    if (lines->start == lines->end)
        return NULL;
    *size = lines->end - lines->start;
    lines->start = lines->whole = lines->end;
    return line;
}
