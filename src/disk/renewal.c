/*
 * renewal: a list under a lock, and how often it was replaced.
 */
#include "renewal.h"

#include "alloc.h"

#include <curl/curl.h>

#include <pthread.h>
#include <stdlib.h>

struct vic_renewal {
    pthread_mutex_t lock; /* all below */
    unsigned refs;
    struct curl_slist *list;
    unsigned generation;
    unsigned refused; /* 0: none was */
};

struct vic_renewal *vic_renewal_new(void)
{
    struct vic_renewal *h = vic_alloc(sizeof(*h));

    pthread_mutex_init(&h->lock, NULL);
    h->refs = 1;
    return h;
}

struct vic_renewal *vic_renewal_ref(struct vic_renewal *h)
{
    if (!h)
        return NULL;
    pthread_mutex_lock(&h->lock);
    h->refs++;
    pthread_mutex_unlock(&h->lock);
    return h;
}

void vic_renewal_unref(struct vic_renewal *h)
{
    unsigned left;

    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    left = --h->refs;
    pthread_mutex_unlock(&h->lock);
    if (left)
        return;
    curl_slist_free_all(h->list);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

void vic_renewal_set(struct vic_renewal *h, const char *const *list)
{
    struct curl_slist *fresh = NULL;
    struct curl_slist *old;

    for (; list && *list; list++)
        fresh = curl_slist_append(fresh, *list);
    pthread_mutex_lock(&h->lock);
    old = h->list;
    h->list = fresh;
    h->generation++;
    pthread_mutex_unlock(&h->lock);
    curl_slist_free_all(old);
}

struct curl_slist *vic_renewal_append(struct vic_renewal *h, struct curl_slist *list,
                                      unsigned *generation)
{
    struct curl_slist *one;

    pthread_mutex_lock(&h->lock);
    for (one = h->list; one; one = one->next)
        list = curl_slist_append(list, one->data);
    *generation = h->generation;
    pthread_mutex_unlock(&h->lock);
    return list;
}

unsigned vic_renewal_generation(struct vic_renewal *h)
{
    unsigned generation;

    pthread_mutex_lock(&h->lock);
    generation = h->generation;
    pthread_mutex_unlock(&h->lock);
    return generation;
}

void vic_renewal_refuse(struct vic_renewal *h, unsigned generation)
{
    pthread_mutex_lock(&h->lock);
    h->refused = generation;
    pthread_mutex_unlock(&h->lock);
}

bool vic_renewal_refused(struct vic_renewal *h)
{
    bool refused;

    pthread_mutex_lock(&h->lock);
    refused = h->generation && h->refused == h->generation;
    pthread_mutex_unlock(&h->lock);
    return refused;
}
