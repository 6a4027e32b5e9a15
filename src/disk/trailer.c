/*
 * trailer: two formats are known by their end alone.
 *
 * Source: Microsoft, Virtual Hard Disk Image Format Specification 1.0 (the footer);
 * Apple's UDIF (the koly block).
 */
#include "trailer.h"

#include <inttypes.h>
#include <string.h>

/* Where each field of a VHD's footer is; all are big-endian. */
enum { AT_SIZE = 48, AT_TYPE = 60, AT_CHECKSUM = 64, AT_SAVED = 84 };

#define TYPE_FIXED 2u

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t be64(const unsigned char *p)
{
    return (uint64_t)be32(p) << 32 | be32(p + 4);
}

/* The complement of the sum of all bytes but its own. */
static uint32_t vhd_checksum(const unsigned char *footer)
{
    uint32_t sum = 0;
    unsigned i;

    for (i = 0; i < VIC_TRAILER; i++)
        if (i < AT_CHECKSUM || i >= AT_CHECKSUM + 4)
            sum += footer[i];
    return ~sum;
}

static int check_vhd(const unsigned char *footer, uint64_t size, struct vic_error *err)
{
    uint64_t at = size - VIC_TRAILER;

    if (be32(footer + AT_CHECKSUM) != vhd_checksum(footer))
        return vic_error_set(
            err, VIC_FORMAT,
            "byte %" PRIu64 ": the footer of a VHD with a wrong checksum", at);
    if (be32(footer + AT_TYPE) != TYPE_FIXED)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the footer of a VHD of type %" PRIu32
                             ", whose beginning is not here",
                             at, be32(footer + AT_TYPE));
    if (be64(footer + AT_SIZE) != at)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the footer of a VHD with a disk of "
                             "%" PRIu64 " bytes, but %" PRIu64 " came",
                             at, be64(footer + AT_SIZE), at);
    if (footer[AT_SAVED])
        return vic_error_set(err, VIC_UNSUPPORTED,
                             "byte %" PRIu64 ": the VHD is of a machine in saved state; "
                             "shut it down first",
                             at);
    return 0;
}

int vic_trailer_check(const unsigned char last[VIC_TRAILER], uint64_t size,
                      uint64_t *disk, struct vic_error *err)
{
    *disk = size;
    if (memcmp(last, "koly", 4) == 0)
        return vic_error_set(err, VIC_UNSUPPORTED,
                             "byte %" PRIu64 ": the end of an Apple disk image (DMG), "
                             "which is no raw disk; convert it first (hdiutil convert "
                             "-format UDTO)",
                             size - VIC_TRAILER);
    if (memcmp(last, "conectix", 8) != 0)
        return 0;
    if (check_vhd(last, size, err))
        return -1;
    *disk = size - VIC_TRAILER;
    return 0;
}
