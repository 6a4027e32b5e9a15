#include "range.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Digits at *p; false: none. More than 64 bits hold is as much as they hold: it is
 * beyond the end of anything. */
static bool range_read_number(const char **p, uint64_t *n)
{
    const char *start = *p;

    for (*n = 0; **p >= '0' && **p <= '9'; (*p)++) {
        uint64_t digit = (uint64_t)(**p - '0');

        *n = *n > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *n * 10 + digit;
    }
    return *p > start;
}

/* "-N": the last N bytes. */
static enum vic_range_kind read_suffix(const char *p, uint64_t size, uint64_t *first,
                                       uint64_t *length)
{
    uint64_t n;

    if (!range_read_number(&p, &n) || *p != '\0')
        return VIC_RANGE_WHOLE;
    if (n == 0 || size == 0)
        return VIC_RANGE_UNSATISFIABLE;
    *length = n < size ? n : size;
    *first = size - *length;
    return VIC_RANGE_PART;
}

enum vic_range_kind vic_range_parse(const char *value, uint64_t size, uint64_t *first,
                                    uint64_t *length)
{
    uint64_t from, to = UINT64_MAX;
    const char *p = value;

    if (!p || strncasecmp(p, "bytes=", 6) != 0)
        return VIC_RANGE_WHOLE;
    p += 6;
    if (*p == '-')
        return read_suffix(p + 1, size, first, length);
    if (!range_read_number(&p, &from) || *p != '-')
        return VIC_RANGE_WHOLE;
    p++;
    if (*p != '\0' && (!range_read_number(&p, &to) || *p != '\0' || to < from))
        return VIC_RANGE_WHOLE;
    if (from >= size)
        return VIC_RANGE_UNSATISFIABLE;
    *first = from;
    *length = (to < size ? to : size - 1) - from + 1;
    return VIC_RANGE_PART;
}
