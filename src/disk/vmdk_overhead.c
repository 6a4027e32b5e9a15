/*
 * vmdk_overhead: a sector may belong to the descriptor, to a directory or to a table that
 * a directory named before; only their places tell.
 */
#include "vmdk_overhead.h"

#include "alloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int vmdk_overhead_on_header(struct vic_vmdk_overhead *head,
                                   const unsigned char *sector, uint64_t capacity,
                                   struct vic_error *err)
{
    struct vic_vmdk_header *h = &head->header;

    if (vic_vmdk_header_read(sector, h, err))
        return -1;
    if (capacity && capacity != h->capacity * VIC_SECTOR)
        return vic_error_set(err, VIC_FORMAT,
                             "byte 12: the disk has %" PRIu64 " bytes, expected %" PRIu64,
                             h->capacity * VIC_SECTOR, capacity);
    memcpy(head->first, sector, VIC_SECTOR);
    head->descriptor = vic_alloc(h->descriptor_size * VIC_SECTOR);
    return 0;
}

/* A directory begins at sector `from`, and comes before its tables. */
static int on_tables(const struct vic_vmdk_header *h, struct vic_tables *tables,
                     uint64_t from, uint64_t number, const unsigned char *sector,
                     struct vic_error *err)
{
    uint64_t sectors = vic_vmdk_directory_sectors(h);
    unsigned i;

    if (number < from || number >= from + sectors)
        return vic_tables_declare_entries(tables, number, sector, h->overhead, err);
    for (i = 0; i < VIC_DIRECTORY_ENTRIES; i++) {
        uint64_t index = (number - from) * VIC_DIRECTORY_ENTRIES + i;

        if (index >= h->tables)
            break;
        if (vic_tables_declare(tables, index, vic_le32(sector + 4 * i), from + sectors,
                               h->overhead, number * VIC_SECTOR + 4 * i, err))
            return -1;
    }
    return 0;
}

static int vmdk_overhead_on_done(struct vic_vmdk_overhead *head, struct vic_error *err)
{
    struct vic_vmdk_header *h = &head->header;

    if (vic_vmdk_descriptor_check(head->descriptor, h->descriptor_size * VIC_SECTOR,
                                  h->descriptor * VIC_SECTOR, h->capacity, err))
        return -1;
    if (h->redundant &&
        vic_tables_same(&head->tables, &head->copy, h->redundant * VIC_SECTOR, err))
        return -1;
    free(head->descriptor);
    head->descriptor = NULL;
    vic_tables_fini(&head->copy);
    return 1;
}

void vic_vmdk_overhead_fini(struct vic_vmdk_overhead *head)
{
    vic_tables_fini(&head->tables);
    vic_tables_fini(&head->copy);
    free(head->descriptor);
}

int vic_vmdk_overhead_sector(struct vic_vmdk_overhead *head, uint64_t number,
                             const unsigned char sector[VIC_SECTOR], uint64_t capacity,
                             struct vic_error *err)
{
    const struct vic_vmdk_header *h = &head->header;

    if (number == 0)
        return vmdk_overhead_on_header(head, sector, capacity, err);
    if (number >= h->descriptor && number < h->descriptor + h->descriptor_size)
        memcpy(head->descriptor + (number - h->descriptor) * VIC_SECTOR, sector,
               VIC_SECTOR);
    if (h->tables_first && on_tables(h, &head->tables, h->directory, number, sector, err))
        return -1;
    if (h->redundant && on_tables(h, &head->copy, h->redundant, number, sector, err))
        return -1;
    return number + 1 == h->overhead ? vmdk_overhead_on_done(head, err) : 0;
}
