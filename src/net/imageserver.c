/*
 * imageserver: what is served, and by which daemon; see exchange.c for how one request is
 * answered.
 */
#include "imageserver.h"

#include "alloc.h"
#include "drip.h"
#include "error.h"
#include "heads.h"
#include "image.h"
#include "imageserver_state.h"
#include "listen.h"
#include "metrics.h"
#include "open_readers.h"
#include "routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define THREADS         4 /* more than cores: they wait for the disk, too */
#define MAX_CONNECTIONS 256
#define IDLE_TIMEOUT    60 /* seconds */
#define HEAD_TIME       10 /* seconds */
/* Seconds. Longhorn's data source waits 60 for the first byte, and for the head as long. */
#define WAIT 50
/* Seconds between two bytes while there are none: of the 4 that Longhorn waits up to 1.9.1
 * (Harvester 1.6.0), HEAD apart, a quarter. */
#define TICK 1

/* A path is compared as it came: nothing in a route needs escaping, and decoding
 * would give an image more than one name. */
static size_t leave_escaped(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls, (void)connection;
    return strlen(text);
}

static struct MHD_Daemon *start_daemon(struct vic_imageserver *s,
                                       const struct vic_imageserver_opts *opts)
{
    unsigned most = opts->max_connections ? opts->max_connections : MAX_CONNECTIONS;
    unsigned idle = opts->idle_timeout ? opts->idle_timeout : IDLE_TIMEOUT;

    /* The connections are shared out among the threads, one each at least. */
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        vic_exchange_request, s, MHD_OPTION_LISTEN_SOCKET, s->socket,
        MHD_OPTION_THREAD_POOL_SIZE, most < THREADS ? most : (unsigned)THREADS,
        MHD_OPTION_CONNECTION_LIMIT, most, MHD_OPTION_CONNECTION_TIMEOUT, idle,
        MHD_OPTION_NOTIFY_COMPLETED, vic_exchange_completed, s,
        MHD_OPTION_NOTIFY_CONNECTION, vic_exchange_connection, s,
        MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL, MHD_OPTION_END);
}

static void register_metrics(struct vic_imageserver *s)
{
    static const struct vic_metric_opts REQUESTS = {
        .kind = VIC_COUNTER,
        .name = "vm_import_image_requests_total",
        .help = "Requests to the image server, by the status they were answered with.",
        .labels = { "code" },
        .label_count = 1,
    };
    static const struct vic_metric_opts BYTES = {
        .kind = VIC_COUNTER,
        .name = "vm_import_image_bytes_total",
        .help = "Bytes of disk images that were sent, without answers that broke off.",
    };
    struct vic_error err;

    s->requests_total = vic_metric_register(&REQUESTS, &err);
    s->bytes_total = vic_metric_register(&BYTES, &err);
}

struct vic_imageserver *vic_imageserver_start(const struct vic_imageserver_opts *opts,
                                              struct vic_error *err)
{
    struct vic_routes_opts routes = {
        .wait = opts->wait > 0 ? opts->wait : WAIT,
        .suspend = vic_exchange_suspend,
        .resume = vic_exchange_resume,
    };
    int socket = vic_listen(opts->host, opts->port, err);
    struct vic_imageserver *s;

    if (socket < 0)
        return NULL;
    s = vic_alloc(sizeof(*s));
    s->socket = socket;
    s->sha512 = opts->sha512;
    s->drips = vic_drips_new(opts->tick > 0 ? opts->tick : TICK);
    s->readers = vic_open_readers_new();
    s->heads = vic_heads_new(opts->head_time > 0 ? opts->head_time : HEAD_TIME,
                             opts->idle_timeout ? opts->idle_timeout : IDLE_TIMEOUT);
    s->routes = vic_routes_new(&routes);
    vic_stand_by_init(&s->stand_by);
    register_metrics(s);
    s->daemon = start_daemon(s, opts);
    if (!s->daemon) {
        vic_error_errno(err, errno, "starting the image server");
        vic_imageserver_stop(s);
        return NULL;
    }
    return s;
}

void vic_imageserver_stop(struct vic_imageserver *s)
{
    if (!s)
        return;
    /* No connection may be suspended when the daemon stops, or become so. */
    vic_routes_stop(s->routes);
    vic_open_readers_stop(s->readers);
    if (s->daemon)
        MHD_stop_daemon(s->daemon);
    vic_routes_free(s->routes);
    vic_stand_by_fini(&s->stand_by);
    vic_open_readers_free(s->readers);
    vic_heads_free(s->heads);
    vic_drips_free(s->drips);
    free(s);
}

int vic_imageserver_socket(const struct vic_imageserver *s)
{
    return s->socket;
}

void vic_imageserver_publish(struct vic_imageserver *s, const char *path,
                             const char *file, uint64_t size)
{
    const struct vic_route route = { .path = path, .file = file, .size = size };

    vic_routes_put(s->routes, &route);
}

void vic_imageserver_publish_image(struct vic_imageserver *s, const char *path,
                                   struct vic_image *image)
{
    const struct vic_route route = { .path = path, .image = image, .size = image->size };

    vic_routes_put(s->routes, &route);
}

void vic_imageserver_hold(struct vic_imageserver *s, const char *path, uint64_t size)
{
    vic_routes_hold(s->routes, path, size);
}

void vic_imageserver_forget(struct vic_imageserver *s, const char *path)
{
    vic_routes_remove(s->routes, path);
}

void vic_imageserver_ready(struct vic_imageserver *s)
{
    vic_routes_complete(s->routes);
}

void vic_imageserver_stand_by(struct vic_imageserver *s, const char *base)
{
    vic_stand_by_set(&s->stand_by, base);
    vic_routes_clear(s->routes);
}

void vic_imageserver_lead(struct vic_imageserver *s)
{
    vic_imageserver_stand_by(s, NULL);
}

bool vic_imageserver_stats(struct vic_imageserver *s, const char *path,
                           struct vic_imageserver_stats *stats)
{
    struct vic_route_stats route;

    if (!vic_routes_stats(s->routes, path, &route))
        return false;
    stats->requests = route.requests;
    stats->full_reads = route.full_reads;
    stats->bytes = route.bytes;
    stats->active = route.active;
    strcpy(stats->sha512, route.sha512);
    return true;
}
