/*
 * heads: see heads.h. A connection is ended by shutdown(2): who serves it sees that at
 * once, and closes it.
 */
#include "heads.h"

#include "alloc.h"
#include "clock.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define MOST            128
#define MOST_OF_ADDRESS 32
#define LOOK_EVERY      1 /* seconds */

struct vic_head {
    struct vic_head *next; /* younger */
    int fd;
    struct in6_addr from;
    bool awaited;
    double until; /* vic_now(), while it is awaited */
};

struct vic_heads {
    double time, idle;
    pthread_t thread;
    bool threaded;
    pthread_mutex_t lock; /* all below */
    pthread_cond_t ended;
    bool ending;
    struct vic_head *first; /* the oldest */
};

static void heads_shut(struct vic_head *head)
{
    head->awaited = false;
    shutdown(head->fd, SHUT_RDWR);
}

static void heads_look(struct vic_heads *heads)
{
    double now = vic_now();
    struct vic_head *head;

    for (head = heads->first; head; head = head->next)
        if (head->awaited && head->until <= now)
            heads_shut(head);
}

static void *heads_thread(void *arg)
{
    struct vic_heads *heads = arg;
    struct timespec when;

    pthread_mutex_lock(&heads->lock);
    while (!heads->ending) {
        clock_gettime(CLOCK_REALTIME, &when);
        when.tv_sec += LOOK_EVERY;
        pthread_cond_timedwait(&heads->ended, &heads->lock, &when);
        heads_look(heads);
    }
    pthread_mutex_unlock(&heads->lock);
    return NULL;
}

struct vic_heads *vic_heads_new(double time, double idle)
{
    struct vic_heads *heads = vic_alloc(sizeof(*heads));

    heads->time = time;
    heads->idle = idle;
    pthread_mutex_init(&heads->lock, NULL);
    pthread_cond_init(&heads->ended, NULL);
    heads->threaded = pthread_create(&heads->thread, NULL, heads_thread, heads) == 0;
    return heads;
}

void vic_heads_free(struct vic_heads *heads)
{
    if (!heads)
        return;
    pthread_mutex_lock(&heads->lock);
    heads->ending = true;
    pthread_cond_signal(&heads->ended);
    pthread_mutex_unlock(&heads->lock);
    if (heads->threaded)
        pthread_join(heads->thread, NULL);
    pthread_cond_destroy(&heads->ended);
    pthread_mutex_destroy(&heads->lock);
    free(heads);
}

static void heads_address(const struct sockaddr *from, struct in6_addr *address)
{
    memset(address, 0, sizeof(*address));
    if (from->sa_family == AF_INET6)
        *address = ((const struct sockaddr_in6 *)from)->sin6_addr;
    else if (from->sa_family == AF_INET)
        memcpy(address, &((const struct sockaddr_in *)from)->sin_addr, 4);
}

/* Ends the oldest that is awaited, of `from` or (NULL) of any address, if there are as
 * many as there may be. */
static void heads_make_room(struct vic_heads *heads, const struct in6_addr *from,
                            unsigned most)
{
    struct vic_head *head, *oldest = NULL;
    unsigned count = 0;

    for (head = heads->first; head; head = head->next) {
        if (!head->awaited || (from && memcmp(&head->from, from, sizeof(*from)) != 0))
            continue;
        oldest = oldest ? oldest : head;
        count++;
    }
    if (count >= most)
        heads_shut(oldest);
}

struct vic_head *vic_heads_opened(struct vic_heads *heads, int fd,
                                  const struct sockaddr *from)
{
    struct vic_head *head = vic_alloc(sizeof(*head));
    struct vic_head **at;

    head->fd = fd;
    head->awaited = true;
    head->until = vic_now() + heads->time;
    heads_address(from, &head->from);
    pthread_mutex_lock(&heads->lock);
    heads_make_room(heads, &head->from, MOST_OF_ADDRESS);
    heads_make_room(heads, NULL, MOST);
    for (at = &heads->first; *at; at = &(*at)->next)
        ;
    *at = head;
    pthread_mutex_unlock(&heads->lock);
    return head;
}

void vic_heads_there(struct vic_heads *heads, struct vic_head *head)
{
    pthread_mutex_lock(&heads->lock);
    head->awaited = false;
    pthread_mutex_unlock(&heads->lock);
}

void vic_heads_again(struct vic_heads *heads, struct vic_head *head)
{
    pthread_mutex_lock(&heads->lock);
    head->awaited = true;
    head->until = vic_now() + heads->idle;
    pthread_mutex_unlock(&heads->lock);
}

void vic_heads_closed(struct vic_heads *heads, struct vic_head *head)
{
    struct vic_head **at;

    if (!head)
        return;
    pthread_mutex_lock(&heads->lock);
    for (at = &heads->first; *at != head; at = &(*at)->next)
        ;
    *at = head->next;
    pthread_mutex_unlock(&heads->lock);
    free(head);
}
