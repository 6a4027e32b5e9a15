/*
 * routes: which file answers for which path, and the requests that wait for a path whose
 * route may still come. Any thread.
 *
 * A route lives as long as it is in the table or somebody holds it; one that was replaced
 * or removed still counts what goes out of it.
 */
#ifndef VIC_ROUTES_H
#define VIC_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

struct vic_image;
struct vic_routes;

struct vic_route {
    const char *path;
    const char *file;        /* what answers is this file, or ... */
    struct vic_image *image; /* ... this image */
    uint64_t size;           /* bytes */
};

/* What was done with a route; see struct vic_imageserver_stats. */
struct vic_route_stats {
    uint64_t requests, full_reads, bytes;
    unsigned active;
    char sha512[129]; /* of the last full read, "" while there is none */
};

/* A request, of zeros at first. Its memory is the asker's. */
struct vic_route_waiter {
    struct vic_route_waiter *next;
    const char *path; /* lives as long as it waits */
    double deadline;  /* 0: it has not waited yet */
    bool head;        /* it wants no bytes */
    void *connection; /* what suspend() and resume() are called with */
};

enum vic_routes_answer {
    VIC_ROUTE_FOUND,
    VIC_ROUTE_WAIT,    /* suspended; asks again when it is resumed */
    VIC_ROUTE_LATER,   /* it may still come, but the time to wait for it is over */
    VIC_ROUTE_UNKNOWN, /* there is none */
};

struct vic_routes_opts {
    double wait; /* seconds a request waits at most, while the table is not complete */
    /* Under the table's lock. After resume() the waiter is not touched again. */
    void (*suspend)(void *connection);
    void (*resume)(void *connection);
};

struct vic_routes *vic_routes_new(const struct vic_routes_opts *opts);

/* Resumes all who wait; nobody waits any more. */
void vic_routes_stop(struct vic_routes *routes);

/* After vic_routes_stop(); no route is held any more. */
void vic_routes_free(struct vic_routes *routes);

/* What is put at `route->path`; all of it is copied, the image referenced. The same again
 * changes nothing; anything else is a new route. */
void vic_routes_put(struct vic_routes *routes, const struct vic_route *route);

/* The path is known, and so is its size; but until something is put there, whoever wants
 * its bytes waits, and gets VIC_ROUTE_LATER. */
void vic_routes_hold(struct vic_routes *routes, const char *path, uint64_t size);
void vic_routes_remove(struct vic_routes *routes, const char *path);

/* Nothing is in the table any more, and it is not complete; all who wait ask again. */
void vic_routes_clear(struct vic_routes *routes);

/* The table is complete: what is not in it is unknown from now on. */
void vic_routes_complete(struct vic_routes *routes);

/* Sets *route if it is found; vic_routes_release() follows. */
enum vic_routes_answer vic_routes_ask(struct vic_routes *routes,
                                      struct vic_route_waiter *w, const char *path,
                                      const struct vic_route **route);

/* Adds what was done with it; `active` does not matter, an empty sum changes nothing. */
void vic_routes_release(struct vic_routes *routes, const struct vic_route *route,
                        const struct vic_route_stats *done);

/* False: no such path. */
bool vic_routes_stats(struct vic_routes *routes, const char *path,
                      struct vic_route_stats *stats);

#endif
