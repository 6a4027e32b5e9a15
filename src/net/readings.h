/*
 * readings: the images that answers are being read from, so that a server which stops can
 * end them: a reader may wait for bytes that are still to come.
 *
 * Any thread.
 */
#ifndef VIC_READINGS_H
#define VIC_READINGS_H

#include "image.h"

struct vic_readings;
struct vic_reading;

struct vic_readings *vic_readings_new(void);

/* When no reading is left. */
void vic_readings_free(struct vic_readings *readings);

/* Every reader is stopped, and each that begins later at once. */
void vic_readings_stop(struct vic_readings *readings);

/* One answer's; it has no reader yet. */
struct vic_reading *vic_reading_new(struct vic_readings *readings);

/* From now on until vic_reading_close() the reader may be stopped. */
void vic_reading_begin(struct vic_reading *reading, struct vic_image_reader *reader);

/* Before its reader, if it has one, is closed. Takes a struct vic_reading *. */
void vic_reading_close(void *reading);

#endif
