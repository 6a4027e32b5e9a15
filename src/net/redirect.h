/*
 * redirect: what a redirect makes of a request. Decides only; any thread.
 *
 * Credentials stay where they were meant to go: another origin gets nothing that
 * the caller gave, neither headers nor body, and nothing goes from https to http.
 */
#ifndef VIC_REDIRECT_H
#define VIC_REDIRECT_H

#include "error.h"
#include "headers.h"

#include <stdbool.h>

/* A request as it is sent to one URL. vic_ask_clear() frees what it holds. */
struct vic_ask {
    char *method;
    char *url;
    struct vic_headers headers;
    char *body;
    size_t body_size;
    bool with_body;
};

void vic_ask_clear(struct vic_ask *ask);

/* Its headers for curl, without those that curl would add by itself.
 * curl_slist_free_all() it. */
struct curl_slist *vic_ask_headers(const struct vic_ask *ask);

/* Turns `ask`, which was answered by `status` and this location, into the next one.
 * `stay`: no other origin at all. kind http: it may not be followed. */
int vic_redirect(struct vic_ask *ask, int status, const char *location, bool stay,
                 struct vic_error *err);

#endif
