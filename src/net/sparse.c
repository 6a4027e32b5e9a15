#include "sparse.h"

#include "least.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool vic_sparse_has_holes(const struct vic_sparse *s)
{
    off_t hole = lseek(s->fd, 0, SEEK_HOLE);

    return hole >= 0 && (uint64_t)hole < s->size;
}

static bool is_whole(const struct vic_sparse *s)
{
    return lseek(s->fd, 0, SEEK_END) >= (off_t)s->size;
}

/* Finds the data at or after `position`. False: the file has become shorter. */
static bool look_up(struct vic_sparse *s, uint64_t position)
{
    off_t data = lseek(s->fd, (off_t)position, SEEK_DATA);
    off_t hole = data < 0 ? -1 : lseek(s->fd, data, SEEK_HOLE);

    if (data < 0 && errno == ENXIO) { /* nothing but a hole up to the end */
        s->data = s->hole = s->size;
        return is_whole(s);
    }
    if (hole <= data) { /* nobody can tell */
        s->data = position;
        s->hole = s->size;
    } else {
        s->data = (uint64_t)data;
        s->hole = (uint64_t)hole;
    }
    return true;
}

ssize_t vic_sparse_read(struct vic_sparse *s, uint64_t position, void *buffer, size_t max)
{
    size_t n;

    if (position >= s->hole && !look_up(s, position))
        return 0;
    if (position < s->data) {
        n = vic_least_size(s->data - position, max);
        memset(buffer, 0, n);
        return position + n < s->size || is_whole(s) ? (ssize_t)n : 0;
    }
    return pread(s->fd, buffer, vic_least_size(s->hole - position, max), (off_t)position);
}
