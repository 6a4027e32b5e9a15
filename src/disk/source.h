/*
 * source: where a disk's stream comes from. It writes into a sink until the stream
 * is over.
 *
 * run belongs to the transfer's thread; stop, and reading `received`, may come from
 * any thread between new and free.
 */
#ifndef VIC_SOURCE_H
#define VIC_SOURCE_H

#include "sink.h"
#include "tls.h"
#include "window.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define VIC_SOURCE_ETAG 96

struct vic_renewal;

struct vic_source {
    /* 0 if the stream came to an end that is not a broken connection; the sink's
     * end() is the caller's to call. */
    int (*run)(struct vic_source *source, struct vic_sink *sink, struct vic_error *err);
    /* Makes run return soon. */
    void (*stop)(struct vic_source *source);
    void (*free)(struct vic_source *source);
    char *name;  /* for messages and logs: no secrets */
    bool framed; /* the transport tells where the stream ends */
    int status;  /* of HTTP, if it was an error; 0: none */
    /* What the server calls this state of the stream, or "". Of the thread that runs. */
    char etag[VIC_SOURCE_ETAG];
    atomic_bool stopped;
    atomic_uint_least64_t received;
    atomic_uint_least64_t stored; /* of these, what was here before */
};

struct vic_http_source_opts {
    const char *url;             /* http or https */
    const char *const *headers;  /* "Name: value", the last one NULL; or NULL */
    struct vic_renewal *renewal; /* more of them, which may change meanwhile; or NULL */
    const char *connect_to;      /* "host:port" to connect to instead; or NULL */
    struct vic_tls_opts tls;
    struct vic_window window; /* the stream is this part of what is at the URL */
    uint64_t most;            /* bytes that the stream may have, 0: any number */
    bool resumable;           /* a broken answer goes on with a Range of what lacks */
    double connect_timeout;   /* seconds */
    double idle_timeout;      /* seconds without a byte */
    double least_rate;        /* bytes in a second, on average over ... */
    double rate_over;         /* ... so many seconds; 0: as slow as it likes */
};

/* GET. Everything is copied. NULL (kind invalid): options that cannot be. */
struct vic_source *vic_http_source_new(const struct vic_http_source_opts *opts,
                                       struct vic_error *err);

/* Before run: the stream begins with what `file` has, and only what follows is asked for,
 * if it is still the stream of that `etag` (else run fails: conflict). Bytes of the file
 * count as received. */
void vic_http_source_resume(struct vic_source *source, const char *file,
                            const char *etag);

/* A regular file or a block device, or that part of it. */
struct vic_source *vic_file_source_new(const char *path, const struct vic_window *window);

/* So many zeros. */
struct vic_source *vic_zero_source_new(uint64_t size);

#endif
