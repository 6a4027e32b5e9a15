/*
 * vmdk: the stream is a row of 512-byte sectors, and grains are the only thing in it
 * that is longer than its sectors tell. So there are two states: collecting a sector,
 * whose meaning `expect` says, or copying a grain's bytes into the batch.
 */
#include "vmdk.h"

#include "alloc.h"
#include "grains.h"
#include "least.h"
#include "vmdk_overhead.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MARKER_HEAD 12u /* bytes of a record before a grain's data */

enum marker {
    MARKER_END = 0,
    MARKER_TABLE = 1,
    MARKER_DIRECTORY = 2,
    MARKER_FOOTER = 3,
    MARKER_PROGRESS = 4,
};

/* The kind of the sector that is being collected. */
enum expect {
    EXPECT_HEAD,   /* header, descriptor, and perhaps tables */
    EXPECT_RECORD, /* the first sector of a grain, or a marker */
    EXPECT_TABLE,  /* entries of a grain table */
    EXPECT_DIRECTORY,
    EXPECT_FOOTER,
    EXPECT_ZEROS, /* after the end */
};

/* How far the part behind the grains has come. */
enum progress { GRAINS, AFTER_DIRECTORY, AFTER_FOOTER, AFTER_END };

struct vic_vmdk {
    struct vic_sink sink;
    struct vic_grains grains;
    uint64_t expected; /* capacity in bytes that the caller wants, or 0 */
    uint64_t at;       /* byte of the stream that comes next */
    uint64_t most;     /* bytes of the stream, once its header is there */
    enum expect expect;
    enum progress progress;

    struct vic_vmdk_overhead head;

    unsigned char sector[VIC_SECTOR];
    unsigned fill; /* bytes of it that came */
    unsigned char entries[VIC_TABLE_ENTRIES * 4];
    uint64_t part;              /* sectors of the table or directory so far */
    size_t next_table;          /* place in the directory's check */
    uint64_t directory;         /* sector of the directory that came */
    uint64_t directory_sectors; /* and how many it has */

    uint64_t next_grain; /* number of the lowest grain that may come */
    uint32_t grain_left; /* bytes of the current grain to copy */
    uint32_t pad_left;
};

/* Fails with "byte N: what". */
static int vmdk_bad(uint64_t at, const char *what, struct vic_error *err)
{
    return vic_error_set(err, VIC_FORMAT, "byte %" PRIu64 ": %s", at, what);
}

static int vmdk_on_head(struct vic_vmdk *v, struct vic_error *err)
{
    struct vic_batches *batches = v->grains.batches;
    uint64_t number = (v->at - VIC_SECTOR) / VIC_SECTOR;
    int done = vic_vmdk_overhead_sector(&v->head, number, v->sector, v->expected, err);

    if (done <= 0)
        return done;
    v->expect = EXPECT_RECORD;
    v->most = vic_vmdk_most(&v->head.header);
    return batches->sized(batches, v->head.header.capacity * VIC_SECTOR, err);
}

/* Whether a grain with this first sector and size may come here. */
static int check_grain(struct vic_vmdk *v, uint64_t lba, uint32_t size, uint64_t at,
                       struct vic_error *err)
{
    const struct vic_vmdk_header *h = &v->head.header;

    if (v->progress != GRAINS)
        return vmdk_bad(at, "a grain after the grain directory", err);
    if (lba >= h->capacity)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": a grain at sector %" PRIu64
                             " of a disk with %" PRIu64,
                             at, lba, h->capacity);
    if (lba % h->grain)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": sector %" PRIu64 " is not the first of a "
                             "grain",
                             at, lba);
    if (size > 2 * h->grain * VIC_SECTOR)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": a grain of %" PRIu32 " compressed bytes",
                             at, size);
    if (!h->tables_first && lba / h->grain < v->next_grain)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the grain at sector %" PRIu64
                             " is repeated "
                             "or out of order",
                             at, lba);
    return 0;
}

/* The first sector of a grain: 12 bytes that say which, then its data. */
static int on_grain(struct vic_vmdk *v, uint64_t lba, uint32_t size,
                    struct vic_error *err)
{
    const struct vic_vmdk_header *h = &v->head.header;
    uint64_t at = v->at - VIC_SECTOR;
    uint64_t number = lba / h->grain;
    uint32_t here = VIC_SECTOR - MARKER_HEAD;

    if (check_grain(v, lba, size, at, err) ||
        (h->tables_first
             ? vic_tables_arrive(&v->head.tables, number, at / VIC_SECTOR, at, err)
             : vic_tables_grain(&v->head.tables, number, at / VIC_SECTOR, at, err)) ||
        vic_grains_begin(&v->grains, h, lba, size, at, err))
        return -1;
    v->next_grain = number + 1;
    if (here > size)
        here = size;
    vic_grains_add(&v->grains, v->sector + MARKER_HEAD, here);
    v->grain_left = size - here;
    v->pad_left =
        v->grain_left ? (VIC_SECTOR - v->grain_left % VIC_SECTOR) % VIC_SECTOR : 0;
    return 0;
}

static int on_end(struct vic_vmdk *v, uint64_t at, struct vic_error *err)
{
    if (v->head.header.tables_first) {
        if (vic_tables_all_arrived(&v->head.tables, at, err))
            return -1;
    } else if (v->progress != AFTER_FOOTER &&
               !(v->progress == AFTER_DIRECTORY && v->head.header.directory)) {
        return vmdk_bad(at, "the end mark comes before the footer", err);
    }
    v->progress = AFTER_END;
    v->expect = EXPECT_ZEROS;
    vic_grains_flush(&v->grains);
    return 0;
}

/* `val` of a marker is the number of sectors that follow it. */
static int check_marker(const struct vic_vmdk *v, uint64_t val, uint64_t sectors,
                        enum progress progress, uint64_t at, struct vic_error *err)
{
    if (v->head.header.tables_first)
        return vmdk_bad(at, "a marker of tables in a file whose tables are in its head",
                        err);
    if (v->progress != progress)
        return vmdk_bad(at, "a marker out of order", err);
    if (val != sectors)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": a marker of %" PRIu64 " sectors where "
                             "%" PRIu64 " must follow",
                             at, val, sectors);
    return 0;
}

/* Where it must be, if the header tells, and as long. vmdktool begins a table that the
 * disk does not reach, and so perhaps a sector of the directory for it. */
static int check_directory(struct vic_vmdk *v, uint64_t sectors, uint64_t at,
                           struct vic_error *err)
{
    const struct vic_vmdk_header *h = &v->head.header;
    uint64_t needed = vic_vmdk_directory_sectors(h);

    v->directory = v->at / VIC_SECTOR;
    v->directory_sectors = sectors == needed + 1 ? sectors : needed;
    if (check_marker(v, sectors, v->directory_sectors, GRAINS, at, err))
        return -1;
    if (h->directory && h->directory != v->directory)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the header says that the grain directory "
                             "is at sector %" PRIu64 ", it is at %" PRIu64,
                             at, h->directory, v->directory);
    return vic_tables_all_closed(&v->head.tables, at, err);
}

static int on_marker(struct vic_vmdk *v, uint64_t val, uint32_t type,
                     struct vic_error *err)
{
    uint64_t at = v->at - VIC_SECTOR;

    v->part = 0;
    switch (type) {
    case MARKER_END:
        if (val)
            return vmdk_bad(at, "an end mark with a length", err);
        return on_end(v, at, err);
    case MARKER_TABLE:
        v->expect = EXPECT_TABLE;
        return check_marker(v, val, VIC_TABLE_SECTORS, GRAINS, at, err);
    case MARKER_DIRECTORY:
        v->expect = EXPECT_DIRECTORY;
        return check_directory(v, val, at, err);
    case MARKER_FOOTER:
        v->expect = EXPECT_FOOTER;
        return check_marker(v, val, 1, AFTER_DIRECTORY, at, err);
    case MARKER_PROGRESS:
        /* VMware's writers drop these in to keep a reader's progress alive. */
        return check_marker(v, val, 0, GRAINS, at, err);
    default:
        return vic_error_set(err, VIC_FORMAT, "byte %" PRIu64 ": unknown marker %" PRIu32,
                             at, type);
    }
}

static int on_record(struct vic_vmdk *v, struct vic_error *err)
{
    uint64_t val = vic_le64(v->sector);
    uint32_t size = vic_le32(v->sector + 8);

    if (v->progress == AFTER_FOOTER && (size || vic_le32(v->sector + 12) || val))
        return vmdk_bad(v->at - VIC_SECTOR,
                        "something else than the end mark follows the footer", err);
    if (size)
        return on_grain(v, val, size, err);
    return on_marker(v, val, vic_le32(v->sector + 12), err);
}

static int on_table(struct vic_vmdk *v, struct vic_error *err)
{
    memcpy(v->entries + v->part * VIC_SECTOR, v->sector, VIC_SECTOR);
    if (++v->part < VIC_TABLE_SECTORS)
        return 0;
    v->expect = EXPECT_RECORD;
    return vic_tables_close(&v->head.tables, v->entries,
                            v->at / VIC_SECTOR - VIC_TABLE_SECTORS, err);
}

static int on_directory(struct vic_vmdk *v, struct vic_error *err)
{
    uint64_t first = v->part * VIC_DIRECTORY_ENTRIES;

    if (vic_tables_directory(&v->head.tables, v->sector, first, v->head.header.tables,
                             &v->next_table, v->at - VIC_SECTOR, err))
        return -1;
    if (++v->part == v->directory_sectors) {
        v->expect = EXPECT_RECORD;
        v->progress = AFTER_DIRECTORY;
    }
    return 0;
}

static int on_footer(struct vic_vmdk *v, struct vic_error *err)
{
    v->expect = EXPECT_RECORD;
    v->progress = AFTER_FOOTER;
    return vic_vmdk_footer_check(v->head.first, v->sector, v->at - VIC_SECTOR,
                                 v->directory, err);
}

/* qemu-img pads its files with zeros, which read as many end marks. */
static int on_zeros(struct vic_vmdk *v, struct vic_error *err)
{
    static const unsigned char zeros[VIC_SECTOR];

    if (!v->head.header.tables_first || memcmp(v->sector, zeros, VIC_SECTOR) != 0)
        return vmdk_bad(v->at - VIC_SECTOR, "bytes after the end of the VMDK", err);
    return 0;
}

static int on_sector(struct vic_vmdk *v, struct vic_error *err)
{
    if (v->most && v->at > v->most)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the VMDK goes on where a disk of %" PRIu64
                             " bytes must have ended, whatever it holds",
                             v->at, v->head.header.capacity * VIC_SECTOR);
    switch (v->expect) {
    case EXPECT_HEAD:
        return vmdk_on_head(v, err);
    case EXPECT_RECORD:
        return on_record(v, err);
    case EXPECT_TABLE:
        return on_table(v, err);
    case EXPECT_DIRECTORY:
        return on_directory(v, err);
    case EXPECT_FOOTER:
        return on_footer(v, err);
    default:
        return on_zeros(v, err);
    }
}

/* Takes some of `size` bytes; how many is in *taken. */
static int take_some(struct vic_vmdk *v, const unsigned char *data, size_t size,
                     size_t *taken, struct vic_error *err)
{
    if (v->grain_left) {
        *taken = vic_least_size(v->grain_left, size);
        vic_grains_add(&v->grains, data, *taken);
        v->grain_left -= (uint32_t)*taken;
        v->at += *taken;
        return 0;
    }
    if (v->pad_left) {
        *taken = vic_least_size(v->pad_left, size);
        v->pad_left -= (uint32_t)*taken;
        v->at += *taken;
        return 0;
    }
    *taken = vic_least_size(VIC_SECTOR - v->fill, size);
    memcpy(v->sector + v->fill, data, *taken);
    v->fill += (unsigned)*taken;
    v->at += *taken;
    if (v->fill < VIC_SECTOR)
        return 0;
    v->fill = 0;
    return on_sector(v, err);
}

static int vmdk_write(struct vic_sink *sink, const void *data, size_t size,
                      struct vic_error *err)
{
    struct vic_vmdk *v = (struct vic_vmdk *)sink;
    const unsigned char *p = data;
    size_t taken;

    for (; size; p += taken, size -= taken)
        if (take_some(v, p, size, &taken, err))
            return -1;
    return 0;
}

/* In the head's layout the file may end with the last byte of a grain, unpadded;
 * a short grain is then still in the sector that was being collected. */
static bool ends_with_grain(const struct vic_vmdk *v)
{
    uint32_t size = vic_le32(v->sector + 8);

    if (v->fill == 0)
        return v->grain_left == 0;
    return v->fill > MARKER_HEAD && size > 0 && size <= v->fill - MARKER_HEAD;
}

static int vmdk_end(struct vic_sink *sink, struct vic_error *err)
{
    struct vic_vmdk *v = (struct vic_vmdk *)sink;

    if (v->at == 0)
        return vmdk_bad(0, "the stream is empty", err);
    if (v->progress == AFTER_END && v->fill == 0)
        return 0;
    if (!v->head.header.tables_first || v->expect != EXPECT_RECORD || !ends_with_grain(v))
        return vmdk_bad(v->at, "the stream ends before the VMDK does", err);
    if (v->fill) {
        v->at += VIC_SECTOR - v->fill;
        v->fill = 0;
        if (on_sector(v, err))
            return -1;
    }
    /* Only the tables know whether that was all. */
    return on_end(v, v->at, err);
}

struct vic_vmdk *vic_vmdk_new(struct vic_batches *batches, uint64_t capacity)
{
    struct vic_vmdk *v = vic_alloc(sizeof(*v));

    v->sink.write = vmdk_write;
    v->sink.end = vmdk_end;
    v->grains.batches = batches;
    v->expected = capacity;
    return v;
}

void vic_vmdk_free(struct vic_vmdk *v)
{
    if (!v)
        return;
    vic_vmdk_overhead_fini(&v->head);
    free(v);
}

struct vic_sink *vic_vmdk_sink(struct vic_vmdk *v)
{
    return &v->sink;
}
