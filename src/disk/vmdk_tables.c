/*
 * vmdk_tables: sums of what tables name against sums of what came.
 */
#include "vmdk_tables.h"

#include "alloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Well mixed 64 bits of an entry's number and value (Vigna's splitmix64). */
static uint64_t mix(uint32_t entry, uint32_t sector)
{
    uint64_t x = ((uint64_t)entry << 32 | sector) + 0x9e3779b97f4a7c15ull;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

/* Entries 0 (never written) and 1 (zeros) name no grain. */
static bool names_grain(uint32_t entry)
{
    return entry > 1;
}

static struct vic_table *table_add(struct vic_tables *t, uint32_t index)
{
    if (!t->list || t->count == t->size) {
        t->size = t->size ? 2 * t->size : 64;
        t->list = vic_realloc(t->list, t->size * sizeof(*t->list));
    }
    t->list[t->count] = (struct vic_table){ .index = index };
    return &t->list[t->count++];
}

/* Adds what a table's entries name to a sum; `first` is the number of the first. */
static void sum_entries(const unsigned char *entries, unsigned first, unsigned n,
                        uint64_t *sum, uint32_t *count)
{
    unsigned i;

    for (i = 0; i < n; i++) {
        uint32_t entry = vic_le32(entries + 4 * i);

        if (names_grain(entry)) {
            *sum += mix(first + i, entry);
            *count += 1;
        }
    }
}

void vic_tables_fini(struct vic_tables *t)
{
    free(t->list);
    free(t->empty);
    memset(t, 0, sizeof(*t));
}

int vic_tables_grain(struct vic_tables *t, uint64_t grain, uint64_t sector, uint64_t at,
                     struct vic_error *err)
{
    uint32_t index = (uint32_t)(grain / VIC_TABLE_ENTRIES);
    struct vic_table *table = t->count ? &t->list[t->count - 1] : NULL;

    if (!table || table->index != index)
        table = table_add(t, index);
    else if (t->done == t->count)
        return vic_error_set(
            err, VIC_FORMAT,
            "byte %" PRIu64 ": a grain after the table that should name it", at);
    table->sum += mix(grain % VIC_TABLE_ENTRIES, (uint32_t)sector);
    table->count++;
    return 0;
}

static void empty_add(struct vic_tables *t, uint64_t sector)
{
    /* grows at powers of two, counted by the entries themselves */
    if ((t->empty_count & (t->empty_count - 1)) == 0)
        t->empty = vic_realloc(t->empty, (t->empty_count ? 2 * t->empty_count : 1) *
                                             sizeof(*t->empty));
    t->empty[t->empty_count++] = (uint32_t)sector;
}

int vic_tables_close(struct vic_tables *t,
                     const unsigned char entries[VIC_TABLE_ENTRIES * 4], uint64_t sector,
                     struct vic_error *err)
{
    struct vic_table *table;
    uint64_t sum = 0;
    uint32_t count = 0;

    sum_entries(entries, 0, VIC_TABLE_ENTRIES, &sum, &count);
    if (count == 0) {
        empty_add(t, sector);
        return 0;
    }
    if (t->done == t->count)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the grain table names %" PRIu32
                             " grains that did not come",
                             sector * VIC_SECTOR, count);
    table = &t->list[t->done];
    if (count != table->count || sum != table->sum)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the grain table does not name the grains "
                             "that came (%" PRIu32 " entries, %" PRIu32 " grains)",
                             sector * VIC_SECTOR, count, table->count);
    table->sector = (uint32_t)sector;
    t->done++;
    return 0;
}

static bool is_empty_table(const struct vic_tables *t, uint32_t sector)
{
    size_t low = 0;
    size_t high = t->empty_count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (t->empty[mid] < sector)
            low = mid + 1;
        else
            high = mid;
    }
    return low < t->empty_count && t->empty[low] == sector;
}

int vic_tables_directory(struct vic_tables *t, const unsigned char sector[VIC_SECTOR],
                         uint64_t first, uint64_t total, size_t *next, uint64_t at,
                         struct vic_error *err)
{
    unsigned i;

    for (i = 0; i < VIC_DIRECTORY_ENTRIES && first + i < total; i++) {
        uint32_t entry = vic_le32(sector + 4 * i);
        bool has = *next < t->count && t->list[*next].index == first + i;

        if (has ? entry != t->list[*next].sector
                : entry != 0 && !is_empty_table(t, entry))
            return vic_error_set(err, VIC_FORMAT,
                                 "byte %" PRIu64 ": the grain directory says sector "
                                 "%" PRIu32 " for table %" PRIu64 ", it is at %" PRIu32,
                                 at + 4 * i, entry, first + i,
                                 has ? t->list[*next].sector : 0);
        *next += has;
    }
    return 0;
}

int vic_tables_all_closed(const struct vic_tables *t, uint64_t at, struct vic_error *err)
{
    if (t->done == t->count)
        return 0;
    return vic_error_set(err, VIC_FORMAT,
                         "byte %" PRIu64 ": %" PRIu32 " grains have no grain table", at,
                         t->list[t->done].count);
}

int vic_tables_declare(struct vic_tables *t, uint64_t index, uint32_t sector,
                       uint64_t lowest, uint64_t overhead, uint64_t at,
                       struct vic_error *err)
{
    uint64_t from =
        t->count ? t->list[t->count - 1].sector + (uint64_t)VIC_TABLE_SECTORS : lowest;

    if (sector == 0)
        return 0;
    if (sector < from || sector + (uint64_t)VIC_TABLE_SECTORS > overhead)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the grain directory says sector %" PRIu32
                             " for table %" PRIu64 ", not in %" PRIu64 "-%" PRIu64,
                             at, sector, index, from, overhead);
    table_add(t, (uint32_t)index)->sector = sector;
    return 0;
}

int vic_tables_declare_entries(struct vic_tables *t, uint64_t sector,
                               const unsigned char entries[VIC_SECTOR], uint64_t overhead,
                               struct vic_error *err)
{
    struct vic_table *table;
    unsigned first;
    unsigned i;

    if (t->done == t->count || sector < t->list[t->done].sector)
        return 0;
    table = &t->list[t->done];
    first = (unsigned)(sector - table->sector) * (VIC_SECTOR / 4);
    for (i = 0; i < VIC_SECTOR / 4; i++)
        if (names_grain(vic_le32(entries + 4 * i)) &&
            vic_le32(entries + 4 * i) < overhead)
            return vic_error_set(err, VIC_FORMAT,
                                 "byte %" PRIu64 ": a grain table names sector %" PRIu32
                                 ", before the first grain",
                                 sector * VIC_SECTOR + 4 * i, vic_le32(entries + 4 * i));
    sum_entries(entries, first, VIC_SECTOR / 4, &table->sum, &table->count);
    if (first + VIC_SECTOR / 4 == VIC_TABLE_ENTRIES)
        t->done++;
    return 0;
}

static struct vic_table *table_find(struct vic_tables *t, uint32_t index)
{
    size_t low = 0;
    size_t high = t->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (t->list[mid].index < index)
            low = mid + 1;
        else
            high = mid;
    }
    return low < t->count && t->list[low].index == index ? &t->list[low] : NULL;
}

int vic_tables_arrive(struct vic_tables *t, uint64_t grain, uint64_t sector, uint64_t at,
                      struct vic_error *err)
{
    struct vic_table *table = table_find(t, (uint32_t)(grain / VIC_TABLE_ENTRIES));

    if (!table || table->count == 0)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": a grain that no grain table names", at);
    table->sum -= mix(grain % VIC_TABLE_ENTRIES, (uint32_t)sector);
    table->count--;
    if (table->count == 0 && table->sum != 0)
        return vic_error_set(err, VIC_FORMAT,
                             "byte %" PRIu64 ": the grain table at byte %" PRIu64
                             " does not name the grains that came",
                             at, (uint64_t)table->sector * VIC_SECTOR);
    return 0;
}

int vic_tables_all_arrived(const struct vic_tables *t, uint64_t at, struct vic_error *err)
{
    size_t i;

    for (i = 0; i < t->count; i++)
        if (t->list[i].count)
            return vic_error_set(err, VIC_FORMAT,
                                 "byte %" PRIu64 ": the stream ends, but %" PRIu32
                                 " grains of the table at byte %" PRIu64 " did not come",
                                 at, t->list[i].count,
                                 (uint64_t)t->list[i].sector * VIC_SECTOR);
    return 0;
}

int vic_tables_same(const struct vic_tables *a, const struct vic_tables *b, uint64_t at,
                    struct vic_error *err)
{
    size_t i;

    for (i = 0; i < a->count || i < b->count; i++)
        if (i >= a->count || i >= b->count || a->list[i].index != b->list[i].index ||
            a->list[i].count != b->list[i].count || a->list[i].sum != b->list[i].sum)
            return vic_error_set(err, VIC_FORMAT,
                                 "byte %" PRIu64 ": the two copies of the grain tables "
                                 "differ",
                                 at);
    return 0;
}
