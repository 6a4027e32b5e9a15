/*
 * routes: a balanced tree, for thousands of routes are looked up by every request and by
 * whoever asks for their figures; and a list of who waits, which is short.
 */
#include "routes.h"

#include "alloc.h"
#include "clock.h"
#include "image.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct node {
    struct vic_route route; /* first, so that a vic_route * is a node * */
    unsigned refs;
    struct vic_route_stats stats;
};

struct vic_routes {
    struct vic_routes_opts opts;
    pthread_t waker;
    pthread_mutex_t lock; /* all below, and the nodes */
    pthread_cond_t changed;
    void *root; /* of the tree of nodes */
    struct vic_route_waiter *waiting;
    bool complete, stop;
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct node *)a)->route.path,
                  ((const struct node *)b)->route.path);
}

/* Under the lock. */
static struct node *routes_find(const struct vic_routes *routes, const char *path)
{
    struct node key = { .route.path = path };
    struct node **found = tfind(&key, &routes->root, compare);

    return found ? *found : NULL;
}

static struct node *node_new(const struct vic_route *route)
{
    struct node *n = vic_alloc(sizeof(*n));

    n->route.path = vic_strdup(route->path);
    n->route.file = vic_strdup(route->file);
    n->route.image = route->image ? vic_image_ref(route->image) : NULL;
    n->route.size = route->size;
    n->refs = 1;
    return n;
}

static bool is_held(const struct node *n)
{
    return !n->route.file && !n->route.image;
}

static void node_unref(void *p)
{
    struct node *n = p;

    if (--n->refs > 0)
        return;
    free((char *)n->route.path);
    free((char *)n->route.file);
    vic_image_unref(n->route.image);
    free(n);
}

/* Under the lock. */
static void drop(struct vic_routes *routes, struct node *n)
{
    if (!n)
        return;
    tdelete(n, &routes->root, compare);
    node_unref(n);
}

/* Under the lock: is there anything to wait for? */
static bool routes_must_wait(const struct vic_routes *routes,
                             const struct vic_route_waiter *w, const char *path)
{
    const struct node *n = routes_find(routes, path);

    return n ? is_held(n) && !w->head : !routes->complete;
}

/* Under the lock: resumes those for whom waiting has ended. */
static void routes_wake(struct vic_routes *routes)
{
    struct vic_route_waiter **p = &routes->waiting;
    double time = vic_now();
    struct vic_route_waiter *w;

    while ((w = *p)) {
        if (!routes->stop && time < w->deadline && routes_must_wait(routes, w, w->path)) {
            p = &w->next;
            continue;
        }
        *p = w->next;
        routes->opts.resume(w->connection);
    }
}

/* Under the lock: when the first of those who wait has waited long enough. */
static struct timespec first_deadline(const struct vic_routes *routes)
{
    double first = vic_now() + routes->opts.wait;
    const struct vic_route_waiter *w;
    struct timespec t;

    for (w = routes->waiting; w; w = w->next)
        if (w->deadline < first)
            first = w->deadline;
    t.tv_sec = (time_t)first;
    t.tv_nsec = (long)((first - (double)t.tv_sec) * 1e9);
    return t;
}

/* A thread of its own: ends the waits whose time is up. */
static void *run_waker(void *arg)
{
    struct vic_routes *routes = arg;

    pthread_mutex_lock(&routes->lock);
    while (!routes->stop) {
        struct timespec until = first_deadline(routes);

        if (routes->waiting)
            pthread_cond_timedwait(&routes->changed, &routes->lock, &until);
        else
            pthread_cond_wait(&routes->changed, &routes->lock);
        routes_wake(routes);
    }
    pthread_mutex_unlock(&routes->lock);
    return NULL;
}

struct vic_routes *vic_routes_new(const struct vic_routes_opts *opts)
{
    struct vic_routes *routes = vic_alloc(sizeof(*routes));

    routes->opts = *opts;
    pthread_mutex_init(&routes->lock, NULL);
    vic_cond_init(&routes->changed);
    pthread_create(&routes->waker, NULL, run_waker, routes);
    return routes;
}

void vic_routes_stop(struct vic_routes *routes)
{
    pthread_mutex_lock(&routes->lock);
    routes->stop = true;
    routes_wake(routes);
    pthread_cond_signal(&routes->changed);
    pthread_mutex_unlock(&routes->lock);
    pthread_join(routes->waker, NULL);
}

void vic_routes_free(struct vic_routes *routes)
{
    tdestroy(routes->root, node_unref);
    pthread_cond_destroy(&routes->changed);
    pthread_mutex_destroy(&routes->lock);
    free(routes);
}

static bool is_same(const struct vic_route *a, const struct vic_route *b)
{
    return a->size == b->size && a->image == b->image && !a->file == !b->file &&
           (!a->file || strcmp(a->file, b->file) == 0);
}

void vic_routes_put(struct vic_routes *routes, const struct vic_route *route)
{
    struct node *n;

    pthread_mutex_lock(&routes->lock);
    n = routes_find(routes, route->path);
    if (!n || !is_same(&n->route, route)) {
        drop(routes, n);
        tsearch(node_new(route), &routes->root, compare);
        routes_wake(routes);
    }
    pthread_mutex_unlock(&routes->lock);
}

void vic_routes_hold(struct vic_routes *routes, const char *path, uint64_t size)
{
    vic_routes_put(routes, &(struct vic_route){ .path = path, .size = size });
}

void vic_routes_remove(struct vic_routes *routes, const char *path)
{
    pthread_mutex_lock(&routes->lock);
    drop(routes, routes_find(routes, path));
    pthread_mutex_unlock(&routes->lock);
}

void vic_routes_clear(struct vic_routes *routes)
{
    struct vic_route_waiter *waiting, *next;

    pthread_mutex_lock(&routes->lock);
    tdestroy(routes->root, node_unref);
    routes->root = NULL;
    routes->complete = false;
    waiting = routes->waiting;
    routes->waiting = NULL;
    for (; waiting; waiting = next) {
        next = waiting->next;
        routes->opts.resume(waiting->connection);
    }
    pthread_mutex_unlock(&routes->lock);
}

void vic_routes_complete(struct vic_routes *routes)
{
    pthread_mutex_lock(&routes->lock);
    routes->complete = true;
    routes_wake(routes);
    pthread_mutex_unlock(&routes->lock);
}

/* Under the lock. Something may come that answers it. */
static enum vic_routes_answer
routes_wait_for(struct vic_routes *routes, struct vic_route_waiter *w, const char *path)
{
    if (w->deadline == 0)
        w->deadline = vic_now() + routes->opts.wait;
    if (routes->stop || vic_now() >= w->deadline)
        return VIC_ROUTE_LATER;
    routes->opts.suspend(w->connection);
    w->path = path;
    w->next = routes->waiting;
    routes->waiting = w;
    pthread_cond_signal(&routes->changed);
    return VIC_ROUTE_WAIT;
}

enum vic_routes_answer vic_routes_ask(struct vic_routes *routes,
                                      struct vic_route_waiter *w, const char *path,
                                      const struct vic_route **route)
{
    enum vic_routes_answer answer = VIC_ROUTE_FOUND;
    struct node *n;

    pthread_mutex_lock(&routes->lock);
    n = routes_find(routes, path);
    if (routes_must_wait(routes, w, path)) {
        answer = routes_wait_for(routes, w, path);
    } else if (n) {
        n->refs++;
        n->stats.active++;
        *route = &n->route;
    } else {
        answer = VIC_ROUTE_UNKNOWN;
    }
    pthread_mutex_unlock(&routes->lock);
    return answer;
}

void vic_routes_release(struct vic_routes *routes, const struct vic_route *route,
                        const struct vic_route_stats *done)
{
    struct node *n = (struct node *)route;

    pthread_mutex_lock(&routes->lock);
    n->stats.requests += done->requests;
    n->stats.full_reads += done->full_reads;
    n->stats.bytes += done->bytes;
    n->stats.active--;
    if (done->sha512[0])
        strcpy(n->stats.sha512, done->sha512);
    node_unref(n);
    pthread_mutex_unlock(&routes->lock);
}

bool vic_routes_stats(struct vic_routes *routes, const char *path,
                      struct vic_route_stats *stats)
{
    const struct node *n;

    pthread_mutex_lock(&routes->lock);
    n = routes_find(routes, path);
    if (n)
        *stats = n->stats;
    pthread_mutex_unlock(&routes->lock);
    return n != NULL;
}
