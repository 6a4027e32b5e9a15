/*
 * pages: see pages.h. A loop around poll(2): so few connections need no more.
 */
#include "pages.h"

#include "alloc.h"
#include "clock.h"
#include "error.h"
#include "pages_connection.h"
#include "text.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST            128
#define MOST_OF_ADDRESS 32
#define ACCEPT_PAUSE    0.1 /* seconds without a file descriptor to spare */
#define MOST_LATER      4   /* who stands still must not use up the connections */
#define POLLED_BEFORE   2   /* the eventfd and the listening socket */

struct vic_pages {
    struct vic_pages_opts opts;
    pthread_t thread;
    int woken;                          /* eventfd */
    struct pages_connection *all[MOST]; /* oldest first */
    size_t count;
    double accept_from; /* vic_now() */

    pthread_mutex_t lock; /* all below */
    bool stopping;
    unsigned later_status; /* 0: nothing to be told */
    struct vic_text later;
};

/* ---- room ---- */

static void pages_drop(struct vic_pages *p, size_t i)
{
    pages_connection_free(p->all[i]);
    p->count--;
    memmove(p->all + i, p->all + i + 1, (p->count - i) * sizeof(p->all[0]));
}

static unsigned pages_count_of(const struct vic_pages *p,
                               const struct pages_connection *like)
{
    unsigned count = 0;
    size_t i;

    for (i = 0; i < p->count; i++)
        count += pages_connection_is_of(p->all[i], like);
    return count;
}

/* Drops the oldest connection of the address that `like` is of. */
static void pages_drop_oldest_of(struct vic_pages *p, const struct pages_connection *like)
{
    size_t i;

    for (i = 0; i < p->count && !pages_connection_is_of(p->all[i], like); i++)
        ;
    if (i < p->count)
        pages_drop(p, i);
}

/* Drops one of those who have the most. */
static void pages_drop_of_busiest(struct vic_pages *p)
{
    const struct pages_connection *busiest = NULL;
    unsigned most = 0;
    size_t i;

    for (i = 0; i < p->count; i++) {
        unsigned count = pages_count_of(p, p->all[i]);

        if (count > most) {
            most = count;
            busiest = p->all[i];
        }
    }
    if (busiest)
        pages_drop_oldest_of(p, busiest);
}

static void pages_add(struct vic_pages *p, struct pages_connection *connection)
{
    if (pages_count_of(p, connection) >= MOST_OF_ADDRESS)
        pages_drop_oldest_of(p, connection);
    else if (p->count == MOST)
        pages_drop_of_busiest(p);
    p->all[p->count++] = connection;
}

/* ---- the loop ---- */

static void pages_accept_one(struct vic_pages *p)
{
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof(address);
    int fd = accept4(p->opts.socket, (struct sockaddr *)&address, &size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        pages_add(p, pages_connection_new(fd, &address));
    } else if (errno == EMFILE || errno == ENFILE) {
        pages_drop_of_busiest(p);
        p->accept_from = vic_now() + ACCEPT_PAUSE;
    }
}

/* Those who have waited for the text that has come. */
static void pages_tell_waiting(struct vic_pages *p)
{
    struct vic_text text;
    unsigned status;
    size_t i;

    pthread_mutex_lock(&p->lock);
    status = p->later_status;
    text = p->later;
    memset(&p->later, 0, sizeof(p->later));
    p->later_status = 0;
    pthread_mutex_unlock(&p->lock);
    for (i = 0; status && i < p->count; i++)
        pages_connection_tell(p->all[i], status, text.data, text.size);
    vic_text_fini(&text);
}

static bool pages_is_stopping(struct vic_pages *p)
{
    bool stopping;

    pthread_mutex_lock(&p->lock);
    stopping = p->stopping;
    pthread_mutex_unlock(&p->lock);
    return stopping;
}

/* Milliseconds until something is due; -1: nothing is. */
static int pages_until_due(const struct vic_pages *p)
{
    double now = vic_now();
    double due = p->accept_from > now ? p->accept_from : 0;
    size_t i;

    for (i = 0; i < p->count; i++) {
        double ends = pages_connection_ends(p->all[i]);

        if (due == 0 || ends < due)
            due = ends;
    }
    if (due == 0)
        return -1;
    return due <= now ? 0 : (int)((due - now) * 1000) + 1;
}

static void pages_wait_for(struct vic_pages *p,
                           struct pollfd polled[POLLED_BEFORE + MOST])
{
    size_t i;

    polled[0] = (struct pollfd){ .fd = p->woken, .events = POLLIN };
    polled[1] = (struct pollfd){ .fd = vic_now() < p->accept_from ? -1 : p->opts.socket,
                                 .events = POLLIN };
    for (i = 0; i < p->count; i++)
        polled[POLLED_BEFORE + i] = (struct pollfd){
            .fd = pages_connection_fd(p->all[i]),
            .events = pages_connection_events(p->all[i]),
        };
    if (poll(polled, POLLED_BEFORE + p->count, pages_until_due(p)) < 0)
        for (i = 0; i < POLLED_BEFORE + p->count; i++)
            polled[i].revents = 0;
}

/* The page, for one more. */
static unsigned pages_page_of(void *arg, const char *path, struct vic_text *text)
{
    struct vic_pages *p = arg;
    unsigned status = p->opts.page(p->opts.arg, path, text);
    unsigned waiting = 0;
    size_t i;

    for (i = 0; i < p->count; i++)
        waiting += pages_connection_waits(p->all[i]);
    if (status != VIC_PAGES_LATER || waiting < MOST_LATER)
        return status;
    vic_text_puts(text, "others wait for it already\n");
    return 503;
}

/* From the newest on, so that one that is dropped moves none that is still to be seen. */
static void pages_serve(struct vic_pages *p, const struct pollfd *polled)
{
    double now = vic_now();
    size_t i;

    for (i = p->count; i-- > 0;) {
        struct pages_connection *c = p->all[i];
        bool stays = pages_connection_ends(c) > now;

        if (stays && polled[i].revents)
            stays = pages_connection_run(c, pages_page_of, p);
        if (!stays)
            pages_drop(p, i);
    }
}

static void *pages_thread(void *arg)
{
    struct vic_pages *p = arg;
    struct pollfd polled[POLLED_BEFORE + MOST];
    uint64_t times;

    while (!pages_is_stopping(p)) {
        pages_wait_for(p, polled);
        pages_serve(p, polled + POLLED_BEFORE);
        if (polled[0].revents && read(p->woken, &times, sizeof(times)) > 0)
            pages_tell_waiting(p);
        if (polled[1].revents)
            pages_accept_one(p);
    }
    while (p->count > 0)
        pages_drop(p, p->count - 1);
    return NULL;
}

/* ---- for the maker ---- */

static void pages_wake(struct vic_pages *p)
{
    uint64_t one = 1;
    ssize_t written = write(p->woken, &one, sizeof(one));

    (void)written; /* full: it is awake */
}

static void pages_free(struct vic_pages *p)
{
    if (p->woken >= 0)
        close(p->woken);
    close(p->opts.socket);
    pthread_mutex_destroy(&p->lock);
    vic_text_fini(&p->later);
    free(p);
}

struct vic_pages *vic_pages_start(const struct vic_pages_opts *opts,
                                  struct vic_error *err)
{
    struct vic_pages *p = vic_alloc(sizeof(*p));
    int number;

    p->opts = *opts;
    pthread_mutex_init(&p->lock, NULL);
    p->woken = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    number = p->woken < 0 ? errno : pthread_create(&p->thread, NULL, pages_thread, p);
    if (number) {
        vic_error_errno(err, number, "starting a server");
        pages_free(p);
        return NULL;
    }
    return p;
}

void vic_pages_stop(struct vic_pages *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_mutex_unlock(&p->lock);
    pages_wake(p);
    pthread_join(p->thread, NULL);
    pages_free(p);
}

void vic_pages_later(struct vic_pages *p, unsigned status, const char *text, size_t size)
{
    pthread_mutex_lock(&p->lock);
    p->later.size = 0;
    vic_text_add(&p->later, text, size);
    p->later_status = status;
    pthread_mutex_unlock(&p->lock);
    pages_wake(p);
}
