/*
 * ask: a request as it is sent to one URL. Any thread.
 */
#ifndef VIC_ASK_H
#define VIC_ASK_H

#include "error.h"
#include "headers.h"

#include <stdbool.h>
#include <stddef.h>

struct curl_slist;
struct vic_request_opts;

/* vic_ask_clear() frees what it holds. */
struct vic_ask {
    char *method;
    char *url;
    struct vic_headers headers;
    char *body;
    size_t body_size;
    bool with_body;
};

/* Takes over the headers. kind invalid: a method or URL that is none. */
int vic_ask_init(struct vic_ask *ask, const struct vic_request_opts *opts,
                 struct vic_error *err);

void vic_ask_clear(struct vic_ask *ask);

/* Its headers for curl, without those that curl would add by itself.
 * curl_slist_free_all() it. */
struct curl_slist *vic_ask_headers(const struct vic_ask *ask);

#endif
