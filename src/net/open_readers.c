/*
 * open_readers: a list under a lock; who is in it has a reader.
 */
#include "open_readers.h"

#include "alloc.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct vic_open_reader {
    struct vic_open_readers *readers;
    struct vic_image_reader *reader; /* NULL: none yet, and it is not in the list */
    struct vic_open_reader *next, **link;
};

struct vic_open_readers {
    pthread_mutex_t lock; /* all below */
    struct vic_open_reader *first;
    bool stopping;
};

struct vic_open_readers *vic_open_readers_new(void)
{
    struct vic_open_readers *readers = vic_alloc(sizeof(*readers));

    pthread_mutex_init(&readers->lock, NULL);
    return readers;
}

void vic_open_readers_free(struct vic_open_readers *readers)
{
    pthread_mutex_destroy(&readers->lock);
    free(readers);
}

void vic_open_readers_stop(struct vic_open_readers *readers)
{
    struct vic_open_reader *r;

    pthread_mutex_lock(&readers->lock);
    readers->stopping = true;
    for (r = readers->first; r; r = r->next)
        r->reader->stop(r->reader);
    pthread_mutex_unlock(&readers->lock);
}

struct vic_open_reader *vic_open_reader_new(struct vic_open_readers *readers)
{
    struct vic_open_reader *entry = vic_alloc(sizeof(*entry));

    entry->readers = readers;
    return entry;
}

void vic_open_reader_begin(struct vic_open_reader *entry, struct vic_image_reader *reader)
{
    struct vic_open_readers *readers = entry->readers;

    pthread_mutex_lock(&readers->lock);
    entry->reader = reader;
    entry->next = readers->first;
    entry->link = &readers->first;
    if (entry->next)
        entry->next->link = &entry->next;
    readers->first = entry;
    if (readers->stopping)
        reader->stop(reader);
    pthread_mutex_unlock(&readers->lock);
}

void vic_open_reader_close(void *arg)
{
    struct vic_open_reader *entry = arg;
    struct vic_open_readers *readers = entry->readers;

    pthread_mutex_lock(&readers->lock);
    if (entry->reader) {
        *entry->link = entry->next;
        if (entry->next)
            entry->next->link = entry->link;
    }
    pthread_mutex_unlock(&readers->lock);
    free(entry);
}
