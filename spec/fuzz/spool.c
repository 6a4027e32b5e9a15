/*
 * Fuzz target: a spool that an earlier process left, index and stream as the input has
 * them.
 *
 * The input begins with the index, as many bytes as its first two say; the rest is the
 * stream. Whatever they hold, what can be read is the same each time, in whatever pieces,
 * and no more than the disk.
 */
#include "check.h"
#include "spool.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD     4096u               /* of an index */
#define CAPACITY 8                   /* where it says the disk's */
#define MOST     ((uint64_t)4 << 20) /* bytes of a disk that is worth its time */

static char base[] = "/dev/shm/vic-fuzz-spool-XXXXXX/disk";

static void put_file(const char *ending, const uint8_t *data, size_t size)
{
    char path[sizeof(base) + 16];
    int fd;

    snprintf(path, sizeof(path), "%s%s", base, ending);
    fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
}

static void remove_folder(void)
{
    static const char *const endings[] = { ".vmdk", ".index", "" };
    char path[sizeof(base) + 16];
    size_t i;

    for (i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", base, endings[i]);
        unlink(path);
    }
    *strrchr(base, '/') = '\0';
    rmdir(base);
}

static void make_folder(void)
{
    char *name = strrchr(base, '/');

    *name = '\0';
    CHECK(mkdtemp(base));
    *name = '/';
    CHECK(atexit(remove_folder) == 0);
}

static void never(void *arg)
{
    (void)arg;
    CHECK(!"a whole spool waits for nothing");
}

/* All that can be had of it, in pieces of `piece`; how much that is. */
static uint64_t read_all(struct vic_image *image, size_t piece, uint64_t *sum)
{
    static const struct vic_image_waiter waiter = { never, never, NULL };
    struct vic_image_reader *reader = image->open(image, 0, image->size, &waiter);
    unsigned char buffer[1 << 16];
    uint64_t got = 0;
    ssize_t n, i;

    *sum = 0;
    if (!reader)
        return 0;
    while (got < image->size && (n = reader->read(reader, buffer, piece)) > 0) {
        CHECK((size_t)n <= piece);
        for (i = 0; i < n; i++)
            *sum = (*sum ^ buffer[i]) * 0x100000001b3ull;
        got += (uint64_t)n;
        CHECK(got <= image->size);
    }
    reader->close(reader);
    return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t capacity, first, second, sum_first, sum_second;
    struct vic_spool *spool;
    struct vic_error err;
    size_t index;

    if (size < 2 + HEAD)
        return 0;
    index = (size_t)data[0] | (size_t)data[1] << 8;
    data += 2;
    size -= 2;
    index = index < size ? index : size;
    memcpy(&capacity, data + CAPACITY, sizeof(capacity));
    if (capacity == 0 || capacity > MOST)
        return 0;
    if (strstr(base, "XXXXXX"))
        make_folder();
    put_file(".index", data, index);
    put_file(".vmdk", data + index, size - index);
    spool = vic_spool_open(base, capacity, &err);
    CHECK(spool);
    if (vic_spool_is_whole(spool)) {
        first = read_all(vic_spool_image(spool), 1 << 16, &sum_first);
        second = read_all(vic_spool_image(spool), 1 << 16, &sum_second);
        CHECK(first == second && sum_first == sum_second);
        second = read_all(vic_spool_image(spool), 777, &sum_second);
        CHECK(first != capacity || (second == capacity && sum_first == sum_second));
    }
    vic_spool_close(spool);
    return 0;
}
