/*
 * vmdk_overhead: what comes before the grains: header, descriptor, and in the layout of
 * qemu-img the directories and tables. Sector by sector, in order.
 */
#ifndef VIC_VMDK_OVERHEAD_H
#define VIC_VMDK_OVERHEAD_H

#include "vmdk_header.h"
#include "vmdk_tables.h"

struct vic_vmdk_overhead {
    struct vic_vmdk_header header;
    unsigned char first[VIC_SECTOR]; /* the header as it came, for the footer */
    struct vic_tables tables;        /* what the head's tables name, if it has any */
    struct vic_tables copy;          /* the same by the second directory */
    char *descriptor;
};

void vic_vmdk_overhead_fini(struct vic_vmdk_overhead *head);

/* Takes sector `number`: 1 if it was the last, 0 if more follow, or -1. `capacity` is
 * what the disk must have, in bytes, or 0. */
int vic_vmdk_overhead_sector(struct vic_vmdk_overhead *head, uint64_t number,
                             const unsigned char sector[VIC_SECTOR], uint64_t capacity,
                             struct vic_error *err);

#endif
