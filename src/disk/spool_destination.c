/*
 * spool_destination: a spool fetches by itself; many may fetch into one, in turn.
 */
#include "destination.h"

#include "alloc.h"
#include "spool.h"

#include <stdatomic.h>
#include <stdlib.h>

struct spool_destination {
    struct vic_destination destination; /* first */
    struct vic_description *stream;
    struct vic_spool *spool;
    atomic_bool cancelled;
};

static int spool_destination_run(struct vic_destination *destination,
                                 struct vic_disk_result *result, struct vic_error *err)
{
    struct spool_destination *d = (struct spool_destination *)destination;

    return vic_spool_fetch(d->spool, d->stream, &d->cancelled, result, err);
}

static void spool_destination_stop(struct vic_destination *destination)
{
    struct spool_destination *d = (struct spool_destination *)destination;

    vic_spool_cancel(d->spool, &d->cancelled);
}

static void spool_destination_progress(struct vic_destination *destination,
                                       struct vic_disk_progress *progress)
{
    vic_spool_progress(((struct spool_destination *)destination)->spool, progress);
}

static int spool_destination_status(const struct vic_destination *destination)
{
    return vic_spool_status(((const struct spool_destination *)destination)->spool);
}

static void spool_destination_free(struct vic_destination *destination)
{
    struct spool_destination *d = (struct spool_destination *)destination;

    vic_image_unref(vic_spool_image(d->spool));
    vic_description_free(d->stream);
    free(d);
}

struct vic_destination *vic_spool_destination_new(const struct vic_description *stream,
                                                  struct vic_spool *spool,
                                                  struct vic_error *err)
{
    struct spool_destination *d;

    if (vic_description_check(stream, err))
        return NULL;
    d = vic_alloc(sizeof(*d));
    d->destination.run = spool_destination_run;
    d->destination.stop = spool_destination_stop;
    d->destination.progress = spool_destination_progress;
    d->destination.status = spool_destination_status;
    d->destination.free = spool_destination_free;
    d->stream = vic_description_copy(stream);
    d->spool = spool;
    vic_image_ref(vic_spool_image(spool));
    return &d->destination;
}
