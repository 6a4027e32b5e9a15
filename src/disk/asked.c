/*
 * asked: see asked.h.
 */
#include "asked.h"

#include "renewal.h"
#include "source.h"

#include <stdio.h>
#include <string.h>

int vic_asked_init(struct vic_asked *a, const char *const *headers,
                   struct vic_renewal *renewal, struct vic_error *err)
{
    a->renewal = vic_renewal_ref(renewal);
    for (; headers && *headers; headers++) {
        if (strpbrk(*headers, "\r\n"))
            return vic_error_set(err, VIC_INVALID, "a header with a line break");
        a->fixed = curl_slist_append(a->fixed, *headers);
    }
    return 0;
}

void vic_asked_free(struct vic_asked *a)
{
    curl_slist_free_all(a->fixed);
    curl_slist_free_all(a->sent);
    vic_renewal_unref(a->renewal);
}

void vic_asked_keep_etag(char *etag, const char *value, size_t size)
{
    while (size > 0 && strchr("\r\n ", value[size - 1]))
        size--;
    if (size < 3 || size >= VIC_SOURCE_ETAG || value[0] != '"')
        return;
    memcpy(etag, value, size);
    etag[size] = '\0';
}

void vic_asked_only_if(struct vic_asked *a, const char *etag)
{
    char text[VIC_SOURCE_ETAG + 40];

    if (a->conditional || !etag[0])
        return;
    a->conditional = true;
    snprintf(text, sizeof(text), "If-Range: %s", etag);
    a->fixed = curl_slist_append(a->fixed, text);
}

void vic_asked_apply(struct vic_asked *a, CURL *easy)
{
    struct curl_slist *list = NULL;
    struct curl_slist *one;

    if (!a->renewal) {
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, a->fixed);
        return;
    }
    for (one = a->fixed; one; one = one->next)
        list = curl_slist_append(list, one->data);
    list = vic_renewal_append(a->renewal, list, &a->generation);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
    curl_slist_free_all(a->sent);
    a->sent = list;
}

void vic_asked_refused(struct vic_asked *a)
{
    vic_renewal_refuse(a->renewal, a->generation);
}

bool vic_asked_has_others(struct vic_asked *a)
{
    return vic_renewal_generation(a->renewal) != a->generation;
}
