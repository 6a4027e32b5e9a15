/*
 * exchange: one request to the image server and its answer, on libmicrohttpd's threads.
 *
 * A request that has to wait is suspended, and resumed by net/routes; libmicrohttpd then
 * calls vic_exchange_request() again, as if it were new.
 */
#include "alloc.h"
#include "drip.h"
#include "heads.h"
#include "image.h"
#include "imagebody.h"
#include "imageserver_state.h"
#include "log.h"
#include "metrics.h"
#include "open_readers.h"
#include "routes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_AFTER "10"

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

void vic_exchange_suspend(void *connection)
{
    MHD_suspend_connection(connection);
}

void vic_exchange_resume(void *connection)
{
    MHD_resume_connection(connection);
}

/* The name of an image in the log. */
static const char *exchange_name(const struct vic_route *route)
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
    const struct vic_image_waiter waiter = { vic_exchange_suspend, vic_exchange_resume,
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
        vic_log(VIC_LOG_WARN, "image server: %s: %s", exchange_name(x->route),
                strerror(errno));
        return send_status(s, x->waiter.connection, MHD_HTTP_SERVICE_UNAVAILABLE);
    }
    x->status = body.status;
    x->length = body.length;
    x->response = response;
    x->reader = body.reader;
    return send_begun(s, x);
}

static enum MHD_Result exchange_answer(struct vic_imageserver *s, struct exchange *x,
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

static struct vic_head *exchange_head(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
        ->socket_context;
}

void vic_exchange_connection(void *cls, struct MHD_Connection *connection, void **state,
                             enum MHD_ConnectionNotificationCode code)
{
    struct vic_imageserver *s = cls;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *state = vic_heads_opened(
            s->heads,
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
                ->connect_fd,
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)
                ->client_addr);
    } else {
        vic_heads_closed(s->heads, *state);
        *state = NULL;
    }
}

enum MHD_Result vic_exchange_request(void *cls, struct MHD_Connection *connection,
                                     const char *url, const char *method,
                                     const char *version, const char *upload,
                                     size_t *upload_size, void **state)
{
    struct vic_imageserver *s = cls;
    struct exchange *x = *state;
    bool head = strcmp(method, "HEAD") == 0;

    (void)version, (void)upload;
    if (!x)
        vic_heads_there(s->heads, exchange_head(connection));
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
    return exchange_answer(s, x, url);
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
            exchange_name(x->route), x->length, x->route->size,
            complete ? "sent" : "broken off");
    if (complete) {
        done.bytes = x->length;
        done.full_reads = whole;
        strcpy(done.sha512, x->sha512);
        vic_metric_add(s->bytes_total, NULL, (double)x->length);
    }
    return done;
}

void vic_exchange_completed(void *cls, struct MHD_Connection *connection, void **state,
                            enum MHD_RequestTerminationCode code)
{
    struct vic_imageserver *s = cls;
    struct exchange *x = *state;

    vic_heads_again(s->heads, exchange_head(connection));
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
