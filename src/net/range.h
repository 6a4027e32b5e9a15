/*
 * range: the Range header of a request for bytes. Pure.
 */
#ifndef VIC_RANGE_H
#define VIC_RANGE_H

#include <stdint.h>

enum vic_range_kind {
    VIC_RANGE_WHOLE,         /* none, or one that is to be ignored: answer 200 */
    VIC_RANGE_PART,          /* answer 206 */
    VIC_RANGE_UNSATISFIABLE, /* answer 416 */
};

/* Reads a header value against a body of `size` bytes; NULL is no header. First and
 * length of the part are set for VIC_RANGE_PART. More than one range is answered
 * whole, as RFC 9110 section 14.2 allows. */
enum vic_range_kind vic_range_parse(const char *value, uint64_t size, uint64_t *first,
                                    uint64_t *length);

#endif
