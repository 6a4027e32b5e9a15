#include "statusserver.h"

#include "alloc.h"
#include "clock.h"
#include "error.h"
#include "listen.h"
#include "metrics.h"
#include "text.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STALL           30 /* seconds */
#define MAX_CONNECTIONS 32
#define IDLE_TIMEOUT    30 /* seconds */

struct vic_statusserver {
    struct MHD_Daemon *daemon;
    int socket; /* the daemon's */
    double stall;
    _Atomic double ticked; /* CLOCK_MONOTONIC, seconds */
    pthread_mutex_t lock;  /* all below */
    bool ready;
    char *reason;
};

/* Takes the text. */
static enum MHD_Result statusserver_answer(struct MHD_Connection *connection,
                                           unsigned status, struct vic_text *text)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(text->size, text->data, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result result;

    MHD_add_response_header(response, "Content-Type",
                            "text/plain; version=0.0.4; charset=utf-8");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static unsigned healthz(struct vic_statusserver *s, struct vic_text *text)
{
    double silent = vic_now() - atomic_load(&s->ticked);
    char line[64];

    if (silent <= s->stall) {
        vic_text_puts(text, "ok\n");
        return MHD_HTTP_OK;
    }
    snprintf(line, sizeof(line), "the event loop has stood still for %.0f s\n", silent);
    vic_text_puts(text, line);
    return MHD_HTTP_SERVICE_UNAVAILABLE;
}

static unsigned readyz(struct vic_statusserver *s, struct vic_text *text)
{
    unsigned status = MHD_HTTP_OK;

    pthread_mutex_lock(&s->lock);
    if (!s->ready)
        status = MHD_HTTP_SERVICE_UNAVAILABLE;
    vic_text_puts(text, s->ready ? "ok" : s->reason);
    vic_text_char(text, '\n');
    pthread_mutex_unlock(&s->lock);
    return status;
}

static enum MHD_Result statusserver_on_request(void *cls,
                                               struct MHD_Connection *connection,
                                               const char *url, const char *method,
                                               const char *version, const char *upload,
                                               size_t *upload_size, void **state)
{
    static char begun;
    struct vic_statusserver *s = cls;
    struct vic_text text = { 0 };
    unsigned status = MHD_HTTP_OK;

    (void)version, (void)upload;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        vic_text_puts(&text, "only GET and HEAD\n");
        return statusserver_answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, &text);
    }
    if (!*state || *upload_size > 0) { /* libmicrohttpd wants answers after the body */
        *state = &begun;
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(url, "/healthz") == 0) {
        status = healthz(s, &text);
    } else if (strcmp(url, "/readyz") == 0) {
        status = readyz(s, &text);
    } else if (strcmp(url, "/metrics") == 0) {
        vic_metrics_text(&text);
    } else {
        vic_text_puts(&text, "there are /healthz, /readyz and /metrics\n");
        status = MHD_HTTP_NOT_FOUND;
    }
    return statusserver_answer(connection, status, &text);
}

static void fini(struct vic_statusserver *s)
{
    pthread_mutex_destroy(&s->lock);
    free(s->reason);
    free(s);
}

struct vic_statusserver *vic_statusserver_start(const struct vic_statusserver_opts *opts,
                                                struct vic_error *err)
{
    int socket = vic_listen(opts->host, opts->port, err);
    struct vic_statusserver *s;

    if (socket < 0)
        return NULL;
    s = vic_alloc(sizeof(*s));
    s->socket = socket;
    s->stall = opts->stall > 0 ? opts->stall : STALL;
    s->reason = vic_strdup("starting");
    pthread_mutex_init(&s->lock, NULL);
    vic_statusserver_tick(s);
    s->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL,
                                 statusserver_on_request, s, MHD_OPTION_LISTEN_SOCKET,
                                 socket, MHD_OPTION_CONNECTION_LIMIT,
                                 (unsigned)MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
                                 (unsigned)IDLE_TIMEOUT, MHD_OPTION_END);
    if (!s->daemon) {
        vic_error_errno(err, errno, "starting the status server");
        fini(s);
        return NULL;
    }
    return s;
}

void vic_statusserver_stop(struct vic_statusserver *s)
{
    if (!s)
        return;
    MHD_stop_daemon(s->daemon);
    fini(s);
}

int vic_statusserver_socket(const struct vic_statusserver *s)
{
    return s->socket;
}

void vic_statusserver_tick(struct vic_statusserver *s)
{
    atomic_store(&s->ticked, vic_now());
}

void vic_statusserver_ready(struct vic_statusserver *s, bool ready, const char *reason)
{
    pthread_mutex_lock(&s->lock);
    s->ready = ready;
    free(s->reason);
    s->reason = vic_strdup(reason);
    pthread_mutex_unlock(&s->lock);
}
