/*
 * feed: a sink at one end, and a reader that never waits at the other. The bytes of a
 * disk pass in order, and are not copied on the way: the sink's flush waits until the
 * reader has what was written.
 *
 * The last 64 KiB are held back until vic_feed_end() says that all that came before was
 * sound; after a failure nothing more comes out.
 *
 * The sink belongs to one thread, read to another; end, fail and stop may come from any.
 */
#ifndef VIC_FEED_H
#define VIC_FEED_H

#include "image.h"
#include "sink.h"

struct vic_feed;

/* Of a disk of `size` bytes, of which the reader wants the first `length`. */
struct vic_feed *vic_feed_new(uint64_t size, uint64_t length,
                              const struct vic_image_waiter *waiter);
void vic_feed_free(struct vic_feed *feed);

struct vic_sink *vic_feed_sink(struct vic_feed *feed);

/* As vic_image_reader.read. */
ssize_t vic_feed_read(struct vic_feed *feed, void *buffer, size_t max);

/* The whole disk has come, and is sound: the rest may go out. */
void vic_feed_end(struct vic_feed *feed);

/* Nothing comes any more: neither end waits from now on. */
void vic_feed_stop(struct vic_feed *feed);

#endif
