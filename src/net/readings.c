/*
 * readings: a list under a lock; who is in it has a reader.
 */
#include "readings.h"

#include "alloc.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct vic_reading {
    struct vic_readings *readings;
    struct vic_image_reader *reader; /* NULL: none yet, and it is not in the list */
    struct vic_reading *next, **link;
};

struct vic_readings {
    pthread_mutex_t lock; /* all below */
    struct vic_reading *first;
    bool stopping;
};

struct vic_readings *vic_readings_new(void)
{
    struct vic_readings *readings = vic_alloc(sizeof(*readings));

    pthread_mutex_init(&readings->lock, NULL);
    return readings;
}

void vic_readings_free(struct vic_readings *readings)
{
    pthread_mutex_destroy(&readings->lock);
    free(readings);
}

void vic_readings_stop(struct vic_readings *readings)
{
    struct vic_reading *r;

    pthread_mutex_lock(&readings->lock);
    readings->stopping = true;
    for (r = readings->first; r; r = r->next)
        r->reader->stop(r->reader);
    pthread_mutex_unlock(&readings->lock);
}

struct vic_reading *vic_reading_new(struct vic_readings *readings)
{
    struct vic_reading *reading = vic_alloc(sizeof(*reading));

    reading->readings = readings;
    return reading;
}

void vic_reading_begin(struct vic_reading *reading, struct vic_image_reader *reader)
{
    struct vic_readings *readings = reading->readings;

    pthread_mutex_lock(&readings->lock);
    reading->reader = reader;
    reading->next = readings->first;
    reading->link = &readings->first;
    if (reading->next)
        reading->next->link = &reading->next;
    readings->first = reading;
    if (readings->stopping)
        reader->stop(reader);
    pthread_mutex_unlock(&readings->lock);
}

void vic_reading_close(void *arg)
{
    struct vic_reading *reading = arg;
    struct vic_readings *readings = reading->readings;

    pthread_mutex_lock(&readings->lock);
    if (reading->reader) {
        *reading->link = reading->next;
        if (reading->next)
            reading->next->link = reading->link;
    }
    pthread_mutex_unlock(&readings->lock);
    free(reading);
}
