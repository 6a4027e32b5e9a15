/*
 * vmdk_head: what comes before the grains: header, descriptor, and in the layout of
 * qemu-img the directories and tables. Sector by sector, in order.
 */
#ifndef VIC_VMDK_HEAD_H
#define VIC_VMDK_HEAD_H

#include "vmdk_header.h"
#include "vmdk_tables.h"

struct vic_vmdk_head {
    struct vic_vmdk_header header;
    unsigned char first[VIC_SECTOR]; /* the header as it came, for the footer */
    struct vic_tables tables;        /* what the head's tables name, if it has any */
    struct vic_tables copy;          /* the same by the second directory */
    char *descriptor;
};

void vic_vmdk_head_fini(struct vic_vmdk_head *head);

/* Takes sector `number`: 1 if it was the last, 0 if more follow, or -1. `capacity` is
 * what the disk must have, in bytes, or 0. */
int vic_vmdk_head_sector(struct vic_vmdk_head *head, uint64_t number,
                         const unsigned char sector[VIC_SECTOR], uint64_t capacity,
                         struct vic_error *err);

#endif
