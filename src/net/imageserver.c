/*
 * imageserver: how it answers over HTTP, on libmicrohttpd's threads.
 *
 * A request that has to wait is suspended, and resumed by net/routes; libmicrohttpd then
 * calls imageserver_on_request() again, as if it were new.
 */
#include "imageserver.h"

#include "alloc.h"
#include "drip.h"
#include "error.h"
#include "image.h"
#include "imagebody.h"
#include "listen.h"
#include "log.h"
#include "metrics.h"
#include "open_readers.h"
#include "routes.h"
#include "stand_by.h"

#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS         4 /* more than cores: they wait for the disk, too */
#define MAX_CONNECTIONS 256
#define IDLE_TIMEOUT    60 /* seconds */
/* Seconds. Longhorn's data source waits 60 for the first byte, and for the head as long. */
#define WAIT 50
/* Seconds between two bytes while there are none: of the 4 that Longhorn waits up to 1.9.1
 * (Harvester 1.6.0), HEAD apart, a quarter. */
#define TICK        1
#define RETRY_AFTER "10"

struct vic_imageserver {
    struct MHD_Daemon *daemon;
    int socket; /* the daemon's */
    struct vic_routes *routes;
    struct vic_stand_by stand_by;
    struct vic_metric *requests_total, *bytes_total;
    bool sha512;

    struct vic_drips *drips;
    struct vic_open_readers *readers;
};

/* One request, from its first line to the answer's last byte. */
struct exchange {
    struct vic_route_waiter waiter;  /* of the connection that asks */
    const struct vic_route *route;   /* what was asked for, or NULL */
    struct MHD_Response *response;   /* the image's, waits for its first byte; or NULL */
    struct vic_image_reader *reader; /* then: who gives its bytes */
    unsigned status;                 /* of the answer, 0: none yet */
    uint64_t length;                 /* bytes of the answer */
    char sha512[VIC_IMAGEBODY_SUM];
};

static enum MHD_Result send_answer(struct vic_imageserver *s,
                                   struct MHD_Connection *connection, unsigned status,
                                   struct MHD_Response *response)
{
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    char code[16];
    const char *values[] = { code };

    MHD_destroy_response(response);
    snprintf(code, sizeof(code), "%u", status);
    vic_metric_add(s->requests_total, values, 1);
    return result;
}

/* An answer without a body. */
static enum MHD_Result send_status(struct vic_imageserver *s,
                                   struct MHD_Connection *connection, unsigned status)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);

    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        MHD_add_response_header(response, "Retry-After", RETRY_AFTER);
    return send_answer(s, connection, status, response);
}

static void imageserver_suspend(void *connection)
{
    MHD_suspend_connection(connection);
}

static void imageserver_resume(void *connection)
{
    MHD_resume_connection(connection);
}

/* What the log calls it. */
static const char *imageserver_name_of(const struct vic_route *route)
{
    const char *last = strrchr(route->path, '/');

    return route->file ? route->file : last ? last + 1 : route->path;
}

/* An image's head goes out with its first byte: who has it counts the seconds. */
static enum MHD_Result send_begun(struct vic_imageserver *s, struct exchange *x)
{
    struct MHD_Response *response = x->response;

    if (x->reader && !vic_drip_has_begun(x->reader))
        return MHD_YES;
    x->response = NULL;
    return send_answer(s, x->waiter.connection, x->status, response);
}

/* Sends what the route x->route names. */
static enum MHD_Result send_image(struct vic_imageserver *s, struct exchange *x)
{
    const struct vic_image_waiter waiter = { imageserver_suspend, imageserver_resume,
                                             x->waiter.connection };
    struct vic_open_reader *entry = vic_open_reader_new(s->readers);
    struct vic_imagebody body = {
        .file = x->route->file,
        .image = x->route->image,
        .size = x->route->size,
        .waiter = x->waiter.head ? NULL : &waiter,
        .drips = s->drips,
        .sha512 = x->waiter.head || !s->sha512 ? NULL : x->sha512,
        .closing = vic_open_reader_close,
        .closing_arg = entry,
    };
    struct MHD_Response *response;

    if (!x->waiter.head) {
        body.range =
            MHD_lookup_connection_value(x->waiter.connection, MHD_HEADER_KIND, "Range");
        body.if_range = MHD_lookup_connection_value(x->waiter.connection, MHD_HEADER_KIND,
                                                    "If-Range");
    }
    response = vic_imagebody_response(&body);
    if (body.reader)
        vic_open_reader_begin(entry, body.reader);
    else
        vic_open_reader_close(entry);
    if (!response) {
        vic_log(VIC_LOG_WARN, "image server: %s: %s", imageserver_name_of(x->route),
                strerror(errno));
        return send_status(s, x->waiter.connection, MHD_HTTP_SERVICE_UNAVAILABLE);
    }
    x->status = body.status;
    x->length = body.length;
    x->response = response;
    x->reader = body.reader;
    return send_begun(s, x);
}

static enum MHD_Result imageserver_answer(struct vic_imageserver *s, struct exchange *x,
                                          const char *path)
{
    struct MHD_Response *redirect;

    if (x->response)
        return send_begun(s, x);
    redirect = vic_stand_by_response(&s->stand_by, path);
    if (redirect) /* 307: the method stays */
        return send_answer(s, x->waiter.connection, MHD_HTTP_TEMPORARY_REDIRECT,
                           redirect);
    switch (vic_routes_ask(s->routes, &x->waiter, path, &x->route)) {
    case VIC_ROUTE_FOUND:
        return send_image(s, x);
    case VIC_ROUTE_WAIT:
        return MHD_YES;
    case VIC_ROUTE_LATER:
        return send_status(s, x->waiter.connection, MHD_HTTP_SERVICE_UNAVAILABLE);
    default:
        return send_status(s, x->waiter.connection, MHD_HTTP_NOT_FOUND);
    }
}

static enum MHD_Result imageserver_on_request(void *cls,
                                              struct MHD_Connection *connection,
                                              const char *url, const char *method,
                                              const char *version, const char *upload,
                                              size_t *upload_size, void **state)
{
    struct vic_imageserver *s = cls;
    struct exchange *x = *state;
    bool head = strcmp(method, "HEAD") == 0;

    (void)version, (void)upload;
    if (!head && strcmp(method, "GET") != 0) /* before its body, which nobody wants */
        return send_status(s, connection, MHD_HTTP_METHOD_NOT_ALLOWED);
    if (!x) { /* the head is there; a body may follow: answer at the next call */
        x = *state = vic_alloc(sizeof(*x));
        x->waiter.connection = connection;
        x->waiter.head = head;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    return imageserver_answer(s, x, url);
}

/* The answer has gone out, or has broken off. */
static struct vic_route_stats count(struct vic_imageserver *s, const struct exchange *x,
                                    bool complete)
{
    struct vic_route_stats done = { 0 };
    bool whole = x->length == x->route->size;

    if (x->status != MHD_HTTP_OK && x->status != MHD_HTTP_PARTIAL_CONTENT)
        return done;
    done.requests = 1;
    if (x->waiter.head)
        return done;
    vic_log(whole ? VIC_LOG_INFO : VIC_LOG_DEBUG,
            "image server: %s: %" PRIu64 " of %" PRIu64 " bytes %s",
            imageserver_name_of(x->route), x->length, x->route->size,
            complete ? "sent" : "broken off");
    if (complete) {
        done.bytes = x->length;
        done.full_reads = whole;
        strcpy(done.sha512, x->sha512);
        vic_metric_add(s->bytes_total, NULL, (double)x->length);
    }
    return done;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct vic_imageserver *s = cls;
    struct exchange *x = *state;

    (void)connection;
    if (!x)
        return;
    *state = NULL;
    if (x->response) /* who asked has left before its first byte */
        MHD_destroy_response(x->response);
    if (x->route) {
        struct vic_route_stats done =
            count(s, x, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);

        vic_routes_release(s->routes, x->route, &done);
    }
    free(x);
}

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
        imageserver_on_request, s, MHD_OPTION_LISTEN_SOCKET, s->socket,
        MHD_OPTION_THREAD_POOL_SIZE, most < THREADS ? most : (unsigned)THREADS,
        MHD_OPTION_CONNECTION_LIMIT, most, MHD_OPTION_CONNECTION_TIMEOUT, idle,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_UNESCAPE_CALLBACK,
        leave_escaped, NULL, MHD_OPTION_END);
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
        .suspend = imageserver_suspend,
        .resume = imageserver_resume,
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
