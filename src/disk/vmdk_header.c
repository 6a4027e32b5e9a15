/*
 * vmdk_header: what a header may say. Messages begin with the byte of the stream.
 */
#include "vmdk_header.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAGIC           0x564d444bu /* "KDMV" */
#define AT_THE_END      UINT64_MAX  /* the directory's place, if the footer tells it */
#define FLAG_NEWLINE    0x1u
#define FLAG_REDUNDANT  0x2u
#define FLAG_ZERO_GRAIN 0x4u
#define FLAG_COMPRESSED 0x10000u
#define FLAG_MARKERS    0x20000u
#define FLAGS_NEEDED    (FLAG_COMPRESSED | FLAG_MARKERS)
#define FLAGS_KNOWN     (FLAGS_NEEDED | FLAG_NEWLINE | FLAG_REDUNDANT | FLAG_ZERO_GRAIN)

#define CAPACITY_MAX   (1ull << 37) /* sectors: 64 TiB; VMware allows 62 */
#define TABLES_MAX     (1ull << 21) /* what 64 TiB need with grains of 64 KiB */
#define DESCRIPTOR_MAX 2048u        /* sectors */
#define SPARE          2048u        /* sectors of markers that nothing explains */
#define SLACK          65536u       /* sectors of overhead that nothing explains */

/* Where each field is. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_FLAGS = 8,
    AT_CAPACITY = 12,
    AT_GRAIN = 20,
    AT_DESCRIPTOR = 28,
    AT_DESCRIPTOR_SIZE = 36,
    AT_ENTRIES = 44,
    AT_REDUNDANT = 48,
    AT_DIRECTORY = 56,
    AT_OVERHEAD = 64,
    AT_UNCLEAN = 72,
    AT_NEWLINES = 73,
    AT_COMPRESSION = 77,
};

static uint16_t vmdk_le16(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t vic_le32(const unsigned char *p)
{
    return (uint32_t)vmdk_le16(p) | (uint32_t)vmdk_le16(p + 2) << 16;
}

uint64_t vic_le64(const unsigned char *p)
{
    return (uint64_t)vic_le32(p) | (uint64_t)vic_le32(p + 4) << 32;
}

uint64_t vic_vmdk_directory_sectors(const struct vic_vmdk_header *header)
{
    return (header->tables + VIC_DIRECTORY_ENTRIES - 1) / VIC_DIRECTORY_ENTRIES;
}

static int vmdk_header_bad(struct vic_error *err, unsigned at, const char *what,
                           uint64_t value)
{
    return vic_error_set(err, VIC_FORMAT, "byte %u: %s %" PRIu64, at, what, value);
}

/* The marks of a stream-optimised VMDK. */
static int check_kind(const unsigned char *s, struct vic_error *err)
{
    uint32_t version = vic_le32(s + AT_VERSION);
    uint32_t flags = vic_le32(s + AT_FLAGS);

    if (vic_le32(s + AT_MAGIC) != MAGIC)
        return vic_error_set(
            err, VIC_FORMAT,
            "byte 0: not a VMDK: it begins with %02x %02x %02x %02x, not "
            "with KDMV",
            s[0], s[1], s[2], s[3]);
    if (version < 1 || version > 3)
        return vmdk_header_bad(err, AT_VERSION, "unknown VMDK version", version);
    if ((flags & FLAGS_NEEDED) != FLAGS_NEEDED)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %u: flags 0x%" PRIx32 ": this VMDK is not "
                             "stream-optimised",
                             AT_FLAGS, flags);
    if (flags & ~FLAGS_KNOWN)
        return vic_error_set(err, VIC_FORMAT, "byte %u: unknown flags 0x%" PRIx32,
                             AT_FLAGS, flags & ~FLAGS_KNOWN);
    if (memcmp(s + AT_NEWLINES, "\n \r\n", 4) != 0)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %u: line ends were changed: the file went through a "
                             "text conversion",
                             AT_NEWLINES);
    if (vmdk_le16(s + AT_COMPRESSION) != 1)
        return vmdk_header_bad(err, AT_COMPRESSION, "unknown compression",
                               vmdk_le16(s + AT_COMPRESSION));
    if (s[AT_UNCLEAN])
        return vmdk_header_bad(err, AT_UNCLEAN,
                               "the VMDK was not closed cleanly:", s[AT_UNCLEAN]);
    return 0;
}

/* Capacity, grains and tables; nothing overflows after this. */
static int check_sizes(const unsigned char *s, struct vic_vmdk_header *h,
                       struct vic_error *err)
{
    uint64_t grains;

    h->capacity = vic_le64(s + AT_CAPACITY);
    h->grain = vic_le64(s + AT_GRAIN);
    if (h->capacity == 0 || h->capacity > CAPACITY_MAX)
        return vmdk_header_bad(err, AT_CAPACITY,
                               "impossible capacity in sectors:", h->capacity);
    if (h->grain < 8 || h->grain > 2048 || (h->grain & (h->grain - 1)))
        return vmdk_header_bad(err, AT_GRAIN,
                               "impossible grain size in sectors:", h->grain);
    if (vic_le32(s + AT_ENTRIES) != VIC_TABLE_ENTRIES)
        return vmdk_header_bad(err, AT_ENTRIES,
                               "unknown size of grain tables:", vic_le32(s + AT_ENTRIES));
    grains = (h->capacity + h->grain - 1) / h->grain;
    h->tables = (grains + VIC_TABLE_ENTRIES - 1) / VIC_TABLE_ENTRIES;
    if (h->tables > TABLES_MAX)
        return vmdk_header_bad(
            err, AT_GRAIN, "grains too small for the capacity, in sectors:", h->grain);
    return 0;
}

/* `at` .. `at + size` lies between the header and the grains. */
static bool in_head(const struct vic_vmdk_header *h, uint64_t at, uint64_t size)
{
    return at > 0 && at < h->overhead && size <= h->overhead - at;
}

/* Header, descriptor and tables, which lie before the grains. */
static int check_places(const unsigned char *s, struct vic_vmdk_header *h,
                        struct vic_error *err)
{
    uint64_t most = SLACK + DESCRIPTOR_MAX;

    h->descriptor = vic_le64(s + AT_DESCRIPTOR);
    h->descriptor_size = vic_le64(s + AT_DESCRIPTOR_SIZE);
    h->directory = vic_le64(s + AT_DIRECTORY);
    h->overhead = vic_le64(s + AT_OVERHEAD);
    /* Writers that go back to the header (vmdktool) tell a place behind the grains. */
    h->tables_first = h->directory < h->overhead;
    if (h->directory == AT_THE_END)
        h->directory = 0;
    h->redundant = 0;
    if (h->tables_first) {
        most += 2 * (vic_vmdk_directory_sectors(h) + h->tables * VIC_TABLE_SECTORS);
        if (vic_le32(s + AT_FLAGS) & FLAG_REDUNDANT)
            h->redundant = vic_le64(s + AT_REDUNDANT);
    }
    if (h->overhead < 2 || h->overhead > most)
        return vmdk_header_bad(err, AT_OVERHEAD,
                               "impossible overhead in sectors:", h->overhead);
    if (h->descriptor_size == 0 || h->descriptor_size > DESCRIPTOR_MAX)
        return vmdk_header_bad(
            err, AT_DESCRIPTOR_SIZE,
            "impossible descriptor size in sectors:", h->descriptor_size);
    if (!in_head(h, h->descriptor, h->descriptor_size))
        return vmdk_header_bad(err, AT_DESCRIPTOR,
                               "the descriptor lies outside of the overhead, at sector",
                               h->descriptor);
    if (h->tables_first && !in_head(h, h->directory, vic_vmdk_directory_sectors(h)))
        return vmdk_header_bad(
            err, AT_DIRECTORY,
            "the grain directory lies outside of the overhead, at sector", h->directory);
    if (h->redundant && !in_head(h, h->redundant, vic_vmdk_directory_sectors(h)))
        return vmdk_header_bad(err, AT_REDUNDANT,
                               "the second grain directory lies outside of the "
                               "overhead, at sector",
                               h->redundant);
    return 0;
}

uint64_t vic_vmdk_most(const struct vic_vmdk_header *h)
{
    uint64_t grains = (h->capacity + h->grain - 1) / h->grain;
    uint64_t sectors = h->overhead + h->capacity + h->capacity / 8 + 2 * grains +
                       (h->tables + 1) * (VIC_TABLE_SECTORS + 1) +
                       vic_vmdk_directory_sectors(h) + SPARE;

    return sectors * VIC_SECTOR;
}

int vic_vmdk_header_read(const unsigned char sector[VIC_SECTOR],
                         struct vic_vmdk_header *header, struct vic_error *err)
{
    if (check_kind(sector, err) || check_sizes(sector, header, err) ||
        check_places(sector, header, err))
        return -1;
    return 0;
}

int vic_vmdk_footer_check(const unsigned char header[VIC_SECTOR],
                          const unsigned char footer[VIC_SECTOR], uint64_t at,
                          uint64_t directory, struct vic_error *err)
{
    unsigned i;

    for (i = 0; i < AT_COMPRESSION + 2; i++) {
        if (i >= AT_DIRECTORY && i < AT_OVERHEAD)
            continue;
        if (header[i] != footer[i])
            return vic_error_set(err, VIC_FORMAT,
                                 "byte %" PRIu64 ": the footer differs from the header",
                                 at + i);
    }
    if (vic_le64(footer + AT_DIRECTORY) != directory)
        return vic_error_set(
            err, VIC_FORMAT,
            "byte %" PRIu64 ": the footer says that the grain directory is "
            "at sector %" PRIu64 ", it is at %" PRIu64,
            at + AT_DIRECTORY, vic_le64(footer + AT_DIRECTORY), directory);
    return 0;
}

/* The value of a `key = "value"` line, without blanks and quotes, or false. */
static bool line_value(const char *line, size_t size, const char *key, const char **value,
                       size_t *value_size)
{
    size_t len = strlen(key);
    const char *p = line + len;
    const char *end = line + size;

    if (size < len || strncasecmp(line, key, len) != 0)
        return false;
    while (p < end && isblank((unsigned char)*p))
        p++;
    if (p == end || *p != '=')
        return false;
    p++;
    while (p < end && (isblank((unsigned char)*p) || *p == '"'))
        p++;
    while (end > p && (isspace((unsigned char)end[-1]) || end[-1] == '"'))
        end--;
    *value = p;
    *value_size = (size_t)(end - p);
    return true;
}

static bool vmdk_header_same(const char *value, size_t size, const char *text)
{
    return size == strlen(text) && strncasecmp(value, text, size) == 0;
}

/* "RW 20480 SPARSE "name"" and the like: false if the line is no extent. */
static bool extent_line(const char *line, size_t size, uint64_t *sectors, bool *sparse)
{
    static const char *const access[] = { "RW ", "RDONLY ", "NOACCESS " };
    char text[128];
    char *rest;
    size_t i;

    if (size >= sizeof(text))
        size = sizeof(text) - 1;
    memcpy(text, line, size);
    text[size] = '\0';
    for (i = 0; i < sizeof(access) / sizeof(access[0]); i++) {
        size_t len = strlen(access[i]);

        if (strncasecmp(text, access[i], len) != 0)
            continue;
        *sectors = strtoull(text + len, &rest, 10);
        *sparse = rest > text + len && strncmp(rest, " SPARSE ", 8) == 0;
        return true;
    }
    return false;
}

/* The descriptor's fields that were read so far. */
struct said {
    bool type;
    bool parent;
    unsigned extents;
};

static int descriptor_line(struct said *said, const char *line, size_t size, uint64_t at,
                           uint64_t capacity, struct vic_error *err)
{
    const char *value;
    size_t len;
    uint64_t sectors = 0;
    bool sparse = false;

    if (line_value(line, size, "createType", &value, &len)) {
        said->type = true;
        if (!vmdk_header_same(value, len, "streamOptimized"))
            return vic_error_set(err, VIC_FORMAT,
                                 "byte %" PRIu64 ": the descriptor's createType is not "
                                 "streamOptimized",
                                 at);
    } else if (line_value(line, size, "parentCID", &value, &len)) {
        said->parent = true;
        if (!vmdk_header_same(value, len, "ffffffff"))
            return vic_error_set(err, VIC_FORMAT,
                                 "byte %" PRIu64 ": the VMDK is a delta: it has a parent",
                                 at);
    } else if (extent_line(line, size, &sectors, &sparse)) {
        if (++said->extents > 1)
            return vic_error_set(err, VIC_FORMAT,
                                 "byte %" PRIu64 ": the descriptor has a second extent",
                                 at);
        if (!sparse || sectors != capacity)
            return vic_error_set(err, VIC_FORMAT,
                                 "byte %" PRIu64
                                 ": the descriptor's extent is not sparse "
                                 "and of %" PRIu64 " sectors as the header says",
                                 at, capacity);
    }
    return 0;
}

int vic_vmdk_descriptor_check(const char *text, size_t size, uint64_t at,
                              uint64_t capacity, struct vic_error *err)
{
    struct said said = { 0 };
    const char *end = memchr(text, '\0', size);
    const char *line = text;

    if (!end)
        end = text + size;
    while (line < end) {
        const char *eol = memchr(line, '\n', (size_t)(end - line));

        if (!eol)
            eol = end;
        if (descriptor_line(&said, line, (size_t)(eol - line), at + (size_t)(line - text),
                            capacity, err))
            return -1;
        line = eol < end ? eol + 1 : end;
    }
    if (!said.type || !said.parent || said.extents != 1)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the descriptor has no %s", at,
                             !said.type     ? "createType"
                             : !said.parent ? "parentCID"
                                            : "extent");
    return 0;
}
