/*
 * vmdk_header: the first sector of a stream-optimised VMDK, its footer, and the
 * text descriptor. Pure functions; every number is checked before it is used.
 *
 * Source: VMware, Virtual Disk Format 5.0, and the files that writers really make.
 */
#ifndef VIC_VMDK_HEADER_H
#define VIC_VMDK_HEADER_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIC_SECTOR            512u
#define VIC_TABLE_ENTRIES     512u /* of a grain table */
#define VIC_TABLE_SECTORS     4u
#define VIC_DIRECTORY_ENTRIES 128u /* of a grain directory, in one sector */

/* All in sectors, as in the file. */
struct vic_vmdk_header {
    uint64_t capacity;
    uint64_t grain;
    uint64_t descriptor;
    uint64_t descriptor_size;
    uint64_t redundant; /* second grain directory, 0: none */
    uint64_t directory; /* grain directory, 0: only the footer tells where */
    uint64_t overhead;  /* where the grains begin */
    uint64_t tables;    /* grain tables that cover the capacity */
    bool tables_first;  /* directory and tables are in the head, as qemu-img writes;
                         * else they follow the grains */
};

uint32_t vic_le32(const unsigned char *p);
uint64_t vic_le64(const unsigned char *p);

/* Sectors of a grain directory with that many tables. */
uint64_t vic_vmdk_directory_sectors(const struct vic_vmdk_header *header);

/* Bytes that the stream of such a disk has at most: its capacity and an eighth, for what
 * does not compress, a sector of padding and a marker for each grain, the tables, 1 MiB. */
uint64_t vic_vmdk_most(const struct vic_vmdk_header *header);

int vic_vmdk_header_read(const unsigned char sector[VIC_SECTOR],
                         struct vic_vmdk_header *header, struct vic_error *err);

/* The footer at byte `at` repeats the header but for the directory's place, which
 * is `directory`. */
int vic_vmdk_footer_check(const unsigned char header[VIC_SECTOR],
                          const unsigned char footer[VIC_SECTOR], uint64_t at,
                          uint64_t directory, struct vic_error *err);

/* A whole disk of that size, of one extent, with no parent. `at` is its byte. */
int vic_vmdk_descriptor_check(const char *text, size_t size, uint64_t at,
                              uint64_t capacity, struct vic_error *err);

#endif
