/*
 * nowhere: the output of what is wanted in order alone, or only looked at.
 */
#include "magic.h"
#include "output.h"

static int nowhere_resize(struct vic_output *output, uint64_t capacity,
                          struct vic_error *err)
{
    (void)output, (void)capacity, (void)err;
    return 0;
}

static int nowhere_put(struct vic_output *output, uint64_t offset,
                       const unsigned char *data, size_t size, struct vic_error *err)
{
    (void)output;
    return offset == 0 ? vic_magic_refuse(data, size, err) : 0;
}

struct vic_output vic_nowhere = { nowhere_resize, nowhere_put, false };
