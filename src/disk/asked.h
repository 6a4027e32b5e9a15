/*
 * asked: the headers that a stream is asked for with: those that stay, those that somebody
 * keeps meanwhile (renewal.h), and of which state of the stream the rest must be.
 *
 * Of the thread that asks.
 */
#ifndef VIC_ASKED_H
#define VIC_ASKED_H

#include "error.h"

#include <curl/curl.h>

#include <stdbool.h>
#include <stddef.h>

struct vic_renewal;

struct vic_asked {
    struct curl_slist *fixed;
    struct curl_slist *sent; /* by the request under way, if some may change */
    struct vic_renewal *renewal;
    unsigned generation; /* of those in `sent` */
    bool conditional;
};

/* Both are copied, both may be NULL. 0, or -1 (kind invalid); free it either way. */
int vic_asked_init(struct vic_asked *asked, const char *const *headers,
                   struct vic_renewal *renewal, struct vic_error *err);
void vic_asked_free(struct vic_asked *asked);

/* Into `etag`, of VIC_SOURCE_ETAG bytes: what a header line says. Weak ones do not vouch for
 * single bytes, and are left out. */
void vic_asked_keep_etag(char *etag, const char *value, size_t size);

/* From now on only the stream of this ETag will do; "": nobody said one. */
void vic_asked_only_if(struct vic_asked *asked, const char *etag);

/* The next request of this handle carries the headers as they are now. */
void vic_asked_apply(struct vic_asked *asked, CURL *easy);

/* With a renewal: a server has refused those in force; whether there are others by now. */
void vic_asked_refused(struct vic_asked *asked);
bool vic_asked_has_others(struct vic_asked *asked);

#endif
