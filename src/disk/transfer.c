/*
 * transfer: the thread on which a disk goes to its destination.
 */
#include "transfer.h"

#include "alloc.h"
#include "destination.h"

#include <pthread.h>
#include <stdlib.h>

struct vic_transfer {
    struct vic_destination *destination;
    void (*ended)(void *arg);
    void *arg;
    pthread_t thread;

    /* The thread's until it is joined. */
    int code;
    struct vic_error err;
    struct vic_disk_result result;
};

/* On the transfer's thread: no Lua, nothing but *t. */
static void *transfer_run(void *arg)
{
    struct vic_transfer *t = arg;

    t->code = t->destination->run(t->destination, &t->result, &t->err);
    t->ended(t->arg);
    return NULL;
}

struct vic_transfer *vic_transfer_start(const struct vic_transfer_opts *opts,
                                        struct vic_error *err)
{
    struct vic_transfer *t = vic_alloc(sizeof(*t));

    t->ended = opts->ended;
    t->arg = opts->arg;
    t->destination =
        opts->spool
            ? vic_spool_destination_new(&opts->stream, opts->spool, err)
            : vic_raw_destination_new(&opts->stream, opts->output, opts->sha512, err);
    if (!t->destination)
        goto fail;
    if (pthread_create(&t->thread, NULL, transfer_run, t) != 0) {
        vic_error_set(err, VIC_INTERNAL, "no thread for the transfer");
        goto fail;
    }
    return t;
fail:
    vic_transfer_free(t);
    return NULL;
}

void vic_transfer_cancel(struct vic_transfer *t)
{
    t->destination->stop(t->destination);
}

void vic_transfer_progress(struct vic_transfer *t, struct vic_disk_progress *progress)
{
    t->destination->progress(t->destination, progress);
}

int vic_transfer_join(struct vic_transfer *t, struct vic_disk_result *result,
                      struct vic_error *err)
{
    pthread_join(t->thread, NULL);
    if (t->code)
        *err = t->err;
    else
        *result = t->result;
    return t->code;
}

int vic_transfer_status(const struct vic_transfer *t)
{
    return t->destination->status(t->destination);
}

void vic_transfer_free(struct vic_transfer *t)
{
    if (!t)
        return;
    if (t->destination)
        t->destination->free(t->destination);
    free(t);
}
