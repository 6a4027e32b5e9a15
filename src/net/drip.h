/*
 * drip: a reader of an image for one who gives up when nothing comes for some seconds
 * (Longhorn's data source: 4 s up to 1.9.1, 30 s later).
 *
 * It keeps the last 4 KiB of what it was given. When the image has nothing more for now, one
 * of these bytes goes out at every tick: enough for an hour at one a second. They are bytes
 * that the image has let go; what it holds back until all is verified never gets here.
 */
#ifndef VIC_DRIP_H
#define VIC_DRIP_H

#include "image.h"

struct vic_drips;

/* A clock for any number of readers, with a thread of its own. `every`: seconds. */
struct vic_drips *vic_drips_new(double every);

/* When there is no reader left. NULL is fine. */
void vic_drips_free(struct vic_drips *drips);

/* As vic_image.open(). */
struct vic_image_reader *vic_drip_open(struct vic_drips *drips, struct vic_image *image,
                                       uint64_t first, uint64_t length,
                                       const struct vic_image_waiter *waiter);

/* Before the first read: false: there is no byte yet, wait() was called, ask again. Who is
 * told that bytes come counts the seconds from then on. */
bool vic_drip_has_begun(struct vic_image_reader *reader);

#endif
