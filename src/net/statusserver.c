/*
 * statusserver: see statusserver.h. Who asks for /debug/tasks is suspended until the loop
 * has given the text; libmicrohttpd then calls on_request again.
 */
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
#define MOST_ASKERS     4  /* a loop that stands still must not use up the connections */

/* What MHD keeps for a request of which nothing more is known. */
static char BEGUN;

/* A request for /debug/tasks. */
struct asker {
    struct MHD_Connection *connection;
    struct asker *next; /* of those who wait */
    struct vic_text text;
};

struct vic_statusserver {
    struct MHD_Daemon *daemon;
    int socket; /* the daemon's */
    double stall;
    _Atomic double ticked; /* CLOCK_MONOTONIC, seconds */
    pthread_mutex_t lock;  /* all below */
    bool ready;
    char *reason;
    void (*ask_tasks)(void *arg);
    void *arg;
    struct asker *askers;
    unsigned asker_count;
    bool stopping;
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

/* Waits for the loop. False: it cannot. */
static bool asker_begin(struct vic_statusserver *s, struct MHD_Connection *connection,
                        void **state)
{
    struct asker *asker;
    bool may;

    pthread_mutex_lock(&s->lock);
    may = !s->stopping && s->asker_count < MOST_ASKERS;
    if (may) {
        *state = asker = vic_alloc(sizeof(*asker));
        asker->connection = connection;
        asker->next = s->askers;
        s->askers = asker;
        s->asker_count++;
        MHD_suspend_connection(connection);
    }
    pthread_mutex_unlock(&s->lock);
    if (may)
        s->ask_tasks(s->arg);
    return may;
}

/* The loop has answered, or the server stops. */
static enum MHD_Result asker_answer(struct MHD_Connection *connection,
                                    struct asker *asker)
{
    struct vic_text text = asker->text;

    memset(&asker->text, 0, sizeof(asker->text));
    return statusserver_answer(
        connection, text.data ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, &text);
}

static void asker_free(struct asker *asker)
{
    vic_text_fini(&asker->text);
    free(asker);
}

static enum MHD_Result statusserver_on_request(void *cls,
                                               struct MHD_Connection *connection,
                                               const char *url, const char *method,
                                               const char *version, const char *upload,
                                               size_t *upload_size, void **state)
{
    struct vic_statusserver *s = cls;
    struct vic_text text = { 0 };
    unsigned status = MHD_HTTP_OK;

    (void)version, (void)upload;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        vic_text_puts(&text, "only GET and HEAD\n");
        return statusserver_answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, &text);
    }
    if (!*state || *upload_size > 0) { /* libmicrohttpd wants answers after the body */
        *state = &BEGUN;
        *upload_size = 0;
        return MHD_YES;
    }
    if (*state != &BEGUN)
        return asker_answer(connection, *state);
    if (s->ask_tasks && strcmp(url, "/debug/tasks") == 0) {
        if (asker_begin(s, connection, state))
            return MHD_YES;
        vic_text_puts(&text, "others wait for the event loop already\n");
        status = MHD_HTTP_SERVICE_UNAVAILABLE;
    } else if (strcmp(url, "/healthz") == 0) {
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

static void on_completed(void *cls, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    (void)cls, (void)connection, (void)code;
    if (*state && *state != &BEGUN)
        asker_free(*state);
    *state = NULL;
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
    s->ask_tasks = opts->ask_tasks;
    s->arg = opts->arg;
    pthread_mutex_init(&s->lock, NULL);
    vic_statusserver_tick(s);
    s->daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0,
                         NULL, NULL, statusserver_on_request, s, MHD_OPTION_LISTEN_SOCKET,
                         socket, MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS,
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT,
                         MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
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
    /* No connection may be suspended when the daemon stops, or become so. */
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_mutex_unlock(&s->lock);
    vic_statusserver_tasks(s, "", 0);
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

void vic_statusserver_tasks(struct vic_statusserver *s, const char *text, size_t size)
{
    struct asker *asker, *next;

    pthread_mutex_lock(&s->lock);
    for (asker = s->askers; asker; asker = next) {
        next = asker->next;
        vic_text_add(&asker->text, text, size);
        MHD_resume_connection(asker->connection); /* it may be gone from now on */
    }
    s->askers = NULL;
    s->asker_count = 0;
    pthread_mutex_unlock(&s->lock);
}

void vic_statusserver_ready(struct vic_statusserver *s, bool ready, const char *reason)
{
    pthread_mutex_lock(&s->lock);
    s->ready = ready;
    free(s->reason);
    s->reason = vic_strdup(reason);
    pthread_mutex_unlock(&s->lock);
}
