/*
 * headers: the head of a request and of an answer. Any thread, one at a time.
 */
#ifndef VIC_HEADERS_H
#define VIC_HEADERS_H

#include "error.h"

#include <curl/curl.h>

#include <stdbool.h>
#include <stddef.h>

struct vic_header {
    char *name;
    char *value;
};

/* Zeroed is empty; vic_headers_clear() frees what it holds. */
struct vic_headers {
    struct vic_header *list;
    size_t count;
};

void vic_headers_clear(struct vic_headers *headers);

/* For a request. kind invalid: a name that is no token, a line break in the value,
 * or a header that frames the body, which is not the caller's to say. */
int vic_headers_add(struct vic_headers *headers, const char *name, const char *value,
                    struct vic_error *err);

/* For an answer: one line as it came. Names become lower-case; a repeated one is
 * joined by ", " (set-cookie by a line feed). kind http: too many. */
int vic_headers_parse(struct vic_headers *headers, const char *line, size_t size,
                      struct vic_error *err);

/* Case does not matter. The value, or NULL. */
const char *vic_headers_get(const struct vic_headers *headers, const char *name);

/* Drops all but the few that say nothing about who asks. */
void vic_headers_keep_harmless(struct vic_headers *headers);

/* As curl takes them. curl_slist_free_all() it. */
struct curl_slist *vic_headers_slist(const struct vic_headers *headers);

#endif
