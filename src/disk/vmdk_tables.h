/*
 * vmdk_tables: do grain tables and directory name exactly the grains that came?
 *
 * The grains themselves are not remembered: each table keeps the number and a sum
 * of its (entry, sector) pairs, so memory is 24 bytes for 32 MiB of disk that hold
 * data. Two different sets of pairs have the same sum by chance only, once in 2^64.
 *
 * Tables after their grains (VMware): vic_tables_grain() as grains pass, then
 * vic_tables_close() for each table, then vic_tables_directory(). Tables in the
 * head (qemu-img): the directory and tables first, by vic_tables_declare() and
 * vic_tables_declare_entries(), then vic_tables_arrive() for each grain.
 */
#ifndef VIC_VMDK_TABLES_H
#define VIC_VMDK_TABLES_H

#include "vmdk_header.h"

struct vic_table {
    uint32_t index;  /* of the directory */
    uint32_t sector; /* where the table is */
    uint32_t count;  /* grains that it must (still) name, or that must still come */
    uint64_t sum;
};

struct vic_tables {
    struct vic_table *list; /* ascending by index; none without grains */
    size_t count;
    size_t size;
    size_t done;     /* those before it are closed (or, in the head, read) */
    uint32_t *empty; /* sectors of tables that name nothing */
    size_t empty_count;
};

/* Leaves it empty. */
void vic_tables_fini(struct vic_tables *tables);

/* Tables that follow. A grain with number `grain` begins at `sector`; they ascend. */
int vic_tables_grain(struct vic_tables *tables, uint64_t grain, uint64_t sector,
                     uint64_t at, struct vic_error *err);

/* A table whose entries are at `sector`: names the oldest grains not yet named. */
int vic_tables_close(struct vic_tables *tables,
                     const unsigned char entries[VIC_TABLE_ENTRIES * 4], uint64_t sector,
                     struct vic_error *err);

/* One sector of the directory that follows, beginning with entry `first` of `total`.
 * `*next` is where the caller keeps its place, 0 at first. */
int vic_tables_directory(struct vic_tables *tables,
                         const unsigned char sector[VIC_SECTOR], uint64_t first,
                         uint64_t total, size_t *next, uint64_t at,
                         struct vic_error *err);

/* No grain is left without a table. */
int vic_tables_all_closed(const struct vic_tables *tables, uint64_t at,
                          struct vic_error *err);

/* Tables in the head: the directory's entry `index` says `sector`. */
int vic_tables_declare(struct vic_tables *tables, uint64_t index, uint32_t sector,
                       uint64_t lowest, uint64_t overhead, uint64_t at,
                       struct vic_error *err);

/* If `sector` of the head belongs to a declared table, takes its entries. */
int vic_tables_declare_entries(struct vic_tables *tables, uint64_t sector,
                               const unsigned char entries[VIC_SECTOR], uint64_t overhead,
                               struct vic_error *err);

/* A grain came that the head's tables must name. */
int vic_tables_arrive(struct vic_tables *tables, uint64_t grain, uint64_t sector,
                      uint64_t at, struct vic_error *err);

/* Every grain that the head's tables name has come. */
int vic_tables_all_arrived(const struct vic_tables *tables, uint64_t at,
                           struct vic_error *err);

/* Both copies of the head's tables say the same. */
int vic_tables_same(const struct vic_tables *a, const struct vic_tables *b, uint64_t at,
                    struct vic_error *err);

#endif
