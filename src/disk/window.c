/*
 * window: see window.h.
 */
#include "window.h"

#include "least.h"

#include <inttypes.h>
#include <stdio.h>

#define MOST ((uint64_t)1 << 62) /* so that no sum of two overflows */

int vic_window_check(const struct vic_window *w, struct vic_error *err)
{
    if (w->offset < MOST && w->length < MOST && (w->length || !w->offset))
        return 0;
    return vic_error_set(err, VIC_INVALID, "no window: %" PRIu64 " bytes from %" PRIu64,
                         w->length, w->offset);
}

bool vic_window_range(const struct vic_window *w, uint64_t have,
                      char text[VIC_WINDOW_RANGE])
{
    uint64_t first = w->offset + have;

    if (w->length)
        snprintf(text, VIC_WINDOW_RANGE, "%" PRIu64 "-%" PRIu64, first,
                 w->offset + w->length - 1);
    else
        snprintf(text, VIC_WINDOW_RANGE, "%" PRIu64 "-", first);
    return w->length || have;
}

/* The file is too short for what it should hold. */
static int too_short(const struct vic_window *w, uint64_t total, struct vic_error *err)
{
    return vic_error_set(err, VIC_FORMAT,
                         "the file has %" PRIu64 " bytes, and the disk in it should end "
                         "at byte %" PRIu64,
                         total, w->offset + w->length);
}

int vic_window_answered(struct vic_window *w, long status, uint64_t start, uint64_t total,
                        int64_t length, struct vic_error *err)
{
    if (status == 206 && start != w->offset)
        return vic_error_set(err, VIC_HTTP,
                             "the server gives bytes from %" PRIu64 " on, asked for were "
                             "those from %" PRIu64,
                             start, w->offset);
    if (status == 206 && total && total < w->offset + w->length)
        return too_short(w, total, err);
    if (status == 206)
        return 0;
    if (length >= 0 && (uint64_t)length < w->offset + w->length)
        return too_short(w, (uint64_t)length, err);
    w->from_start = true;
    w->drop = w->offset;
    return 0;
}

size_t vic_window_take(struct vic_window *w, uint64_t have, char **data, size_t size)
{
    size_t before = vic_least_size(w->drop, size);

    if (!w->length)
        return size;
    w->drop -= before;
    *data += before;
    return vic_least_size(w->length - have, size - before);
}

bool vic_window_is_full(const struct vic_window *w, uint64_t have)
{
    return w->length && have >= w->length;
}

int vic_window_ended(const struct vic_window *w, uint64_t have, enum vic_error_kind kind,
                     struct vic_error *err)
{
    if (!w->length || have >= w->length)
        return 0;
    return vic_error_set(err, kind,
                         "it ended after %" PRIu64 " of %" PRIu64 " bytes of the disk",
                         have, w->length);
}
