/*
 * statusserver: see statusserver.h. Who asks for /debug/tasks waits until the loop has
 * given the text.
 */
#include "statusserver.h"

#include "alloc.h"
#include "clock.h"
#include "error.h"
#include "listen.h"
#include "metrics.h"
#include "pages.h"
#include "text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STALL 30 /* seconds */

enum { OK = 200, NOT_FOUND = 404, UNAVAILABLE = 503 };

struct vic_statusserver {
    struct vic_pages *pages;
    int socket; /* the pages' */
    double stall;
    _Atomic double ticked; /* CLOCK_MONOTONIC, seconds */
    void (*ask_tasks)(void *arg);
    void *arg;
    pthread_mutex_t lock; /* all below; nobody keeps it who waits */
    bool ready;
    char *reason;
};

static unsigned healthz(struct vic_statusserver *s, struct vic_text *text)
{
    double silent = vic_now() - atomic_load(&s->ticked);
    char line[64];

    if (silent <= s->stall) {
        vic_text_puts(text, "ok\n");
        return OK;
    }
    snprintf(line, sizeof(line), "the event loop has stood still for %.0f s\n", silent);
    vic_text_puts(text, line);
    return UNAVAILABLE;
}

static unsigned readyz(struct vic_statusserver *s, struct vic_text *text)
{
    unsigned status;

    pthread_mutex_lock(&s->lock);
    status = s->ready ? OK : UNAVAILABLE;
    vic_text_puts(text, s->ready ? "ok" : s->reason);
    vic_text_char(text, '\n');
    pthread_mutex_unlock(&s->lock);
    return status;
}

static unsigned statusserver_page(void *arg, const char *path, struct vic_text *text)
{
    struct vic_statusserver *s = arg;

    if (strcmp(path, "/healthz") == 0)
        return healthz(s, text);
    if (strcmp(path, "/readyz") == 0)
        return readyz(s, text);
    if (strcmp(path, "/metrics") == 0) {
        vic_metrics_text(text);
        return OK;
    }
    if (s->ask_tasks && strcmp(path, "/debug/tasks") == 0) {
        s->ask_tasks(s->arg);
        return VIC_PAGES_LATER;
    }
    vic_text_puts(text, "there are /healthz, /readyz and /metrics\n");
    return NOT_FOUND;
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
    struct vic_pages_opts pages = { .socket = socket, .page = statusserver_page };
    struct vic_statusserver *s;

    if (socket < 0)
        return NULL;
    pages.arg = s = vic_alloc(sizeof(*s));
    s->socket = socket;
    s->stall = opts->stall > 0 ? opts->stall : STALL;
    s->reason = vic_strdup("starting");
    s->ask_tasks = opts->ask_tasks;
    s->arg = opts->arg;
    pthread_mutex_init(&s->lock, NULL);
    vic_statusserver_tick(s);
    s->pages = vic_pages_start(&pages, err);
    if (!s->pages) {
        fini(s);
        return NULL;
    }
    return s;
}

void vic_statusserver_stop(struct vic_statusserver *s)
{
    if (!s)
        return;
    vic_pages_stop(s->pages);
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
    vic_pages_later(s->pages, OK, text, size);
}

void vic_statusserver_ready(struct vic_statusserver *s, bool ready, const char *reason)
{
    pthread_mutex_lock(&s->lock);
    s->ready = ready;
    free(s->reason);
    s->reason = vic_strdup(reason);
    pthread_mutex_unlock(&s->lock);
}
