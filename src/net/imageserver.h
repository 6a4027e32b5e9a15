/*
 * imageserver: disk images over HTTP, each under a path that cannot be guessed.
 *
 * Its own threads (libmicrohttpd, epoll); the route table is shared under a mutex.
 * Every function may be called from any thread; what they are given is copied.
 *
 * GET and HEAD, single ranges, exact lengths, keep-alive. A path is the bytes of the
 * request line, nothing is decoded; there is no listing. Until vic_imageserver_ready(), a
 * request for an unknown path waits, because after a restart its route may be about to
 * come; then it is 404. Of several replicas one has the images; the others redirect to it.
 *
 * Counts vm_import_image_requests_total{code} and vm_import_image_bytes_total.
 */
#ifndef VIC_IMAGESERVER_H
#define VIC_IMAGESERVER_H

#include <stdbool.h>
#include <stdint.h>

struct vic_error;
struct vic_image;
struct vic_imageserver;

struct vic_imageserver_opts {
    const char *host;         /* numeric address; NULL: all */
    uint16_t port;            /* 0: any free one */
    unsigned max_connections; /* others stand in the kernel's queue; 0: 256 */
    unsigned idle_timeout;    /* seconds a connection may stand still; 0: 60 */
    double head_time;         /* seconds that a first request's head may take; 0: 10 */
    double wait;              /* seconds an unknown or held path waits; 0: 50 */
    double tick;              /* seconds between two bytes while there are none; 0: 1 */
    bool sha512;              /* compute it of what goes out as a whole */
};

struct vic_imageserver_stats {
    uint64_t requests;   /* answered with 200 or 206 */
    uint64_t full_reads; /* GETs of the whole that went out to the last byte */
    uint64_t bytes;      /* of bodies that went out to the last byte */
    unsigned active;     /* answers going out now */
    char sha512[129];    /* of the last full read, or "" */
};

/* NULL: *err says why. */
struct vic_imageserver *vic_imageserver_start(const struct vic_imageserver_opts *opts,
                                              struct vic_error *err);

/* Cuts all connections. No other call may be under way, or follow. NULL is fine. */
void vic_imageserver_stop(struct vic_imageserver *s);

/* The socket it listens at, for vic_listen_port() and vic_listen_address(). */
int vic_imageserver_socket(const struct vic_imageserver *s);

/* `path` ("/TOKEN/NAME.raw") answers with that file, which must have `size` bytes; while
 * it is not there or has another size, with 503. Replaces what was there; the same again
 * changes nothing. Who waits for the path is answered. */
void vic_imageserver_publish(struct vic_imageserver *s, const char *path,
                             const char *file, uint64_t size);

/* The same with an image that is no file; it is referenced. One that is not random has no
 * ranges, but for a beginning of up to 64 KiB. The answer's head goes out with its first
 * byte, and while no others come one byte at a time (net/drip). If it breaks off, the
 * connection is reset: nobody can take what came for the whole. */
void vic_imageserver_publish_image(struct vic_imageserver *s, const char *path,
                                   struct vic_image *image);

/* HEAD answers with that size; a GET waits until something is published, and is 503 when
 * that takes too long. */
void vic_imageserver_hold(struct vic_imageserver *s, const char *path, uint64_t size);

/* Downloads that have begun go on. */
void vic_imageserver_forget(struct vic_imageserver *s, const char *path);

/* All routes there are have been published: unknown paths are 404 from now on. */
void vic_imageserver_ready(struct vic_imageserver *s);

/* This replica does not lead. `base` ("http://HOST:PORT"): the images are there, every path
 * is answered with 307; NULL: not known yet, requests wait. What was published is forgotten. */
void vic_imageserver_stand_by(struct vic_imageserver *s, const char *base);

/* The images are here: what is published from now on, and vic_imageserver_ready() again. */
void vic_imageserver_lead(struct vic_imageserver *s);

/* False: no such path. */
bool vic_imageserver_stats(struct vic_imageserver *s, const char *path,
                           struct vic_imageserver_stats *stats);

#endif
