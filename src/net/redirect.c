/*
 * redirect: see redirect.h. Source: RFC 9110 section 15.4.
 */
#include "redirect.h"

#include "alloc.h"
#include "url.h"

#include <stdlib.h>
#include <string.h>

/* 303 asks for another thing by GET; so do, since ever, 301 and 302 after a POST. */
static bool becomes_get(const struct vic_ask *ask, int status)
{
    if (strcmp(ask->method, "HEAD") == 0)
        return false;
    return status == 303 ||
           ((status == 301 || status == 302) && strcmp(ask->method, "POST") == 0);
}

static int leave_origin(struct vic_ask *ask, bool stay, struct vic_error *err)
{
    if (stay)
        return vic_error_set(err, VIC_HTTP, "redirected to another host");
    if (ask->with_body)
        return vic_error_set(err, VIC_HTTP, "redirected to another host with its body");
    vic_headers_keep_harmless(&ask->headers);
    return 0;
}

int vic_redirect(struct vic_ask *ask, int status, const char *location, bool stay,
                 struct vic_error *err)
{
    char *next = vic_url_join(ask->url, location);

    if (!next)
        return vic_error_set(err, VIC_HTTP,
                             "redirected to something that is no plain URL");
    if (becomes_get(ask, status)) {
        free(ask->method);
        ask->method = vic_strdup("GET");
        ask->with_body = false;
    }
    if (vic_url_is_https(ask->url) && !vic_url_is_https(next)) {
        free(next);
        return vic_error_set(err, VIC_HTTP, "redirected from https to http");
    }
    if (!vic_url_same_origin(ask->url, next) && leave_origin(ask, stay, err) < 0) {
        free(next);
        return -1;
    }
    free(ask->url);
    ask->url = next;
    return 0;
}
