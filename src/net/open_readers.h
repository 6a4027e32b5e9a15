/*
 * open_readers: the readers of images that answers come from, so that a server which
 * stops can end them: a reader may wait for bytes that are still to come.
 *
 * Any thread.
 */
#ifndef VIC_OPEN_READERS_H
#define VIC_OPEN_READERS_H

#include "image.h"

struct vic_open_readers;
struct vic_open_reader;

struct vic_open_readers *vic_open_readers_new(void);

/* When no entry is left. */
void vic_open_readers_free(struct vic_open_readers *readers);

/* Every reader is stopped, and each that begins later at once. */
void vic_open_readers_stop(struct vic_open_readers *readers);

/* One answer's; it has no reader yet. */
struct vic_open_reader *vic_open_reader_new(struct vic_open_readers *readers);

/* From now on until vic_open_reader_close() the reader may be stopped. */
void vic_open_reader_begin(struct vic_open_reader *entry,
                           struct vic_image_reader *reader);

/* Before its reader, if it has one, is closed. Takes a struct vic_open_reader *. */
void vic_open_reader_close(void *entry);

#endif
