/*
 * ask: see ask.h.
 */
#include "ask.h"

#include "alloc.h"
#include "request.h"
#include "url.h"

#include <stdlib.h>
#include <string.h>

int vic_ask_init(struct vic_ask *ask, const struct vic_request_opts *opts,
                 struct vic_error *err)
{
    const char *method = opts->method ? opts->method : "GET";

    if (!method[0] || method[strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")])
        return vic_error_set(err, VIC_INVALID, "not an HTTP method");
    if (vic_url_check(opts->url, err) < 0)
        return -1;
    memset(ask, 0, sizeof(*ask));
    ask->method = vic_strdup(method);
    ask->url = vic_strdup(opts->url);
    if (opts->headers) {
        ask->headers = *opts->headers;
        memset(opts->headers, 0, sizeof(*opts->headers));
    }
    ask->with_body = opts->body != NULL;
    ask->body = ask->with_body ? vic_strndup(opts->body, opts->body_size) : NULL;
    ask->body_size = ask->with_body ? opts->body_size : 0;
    return 0;
}

struct curl_slist *vic_ask_headers(const struct vic_ask *ask)
{
    struct curl_slist *list = vic_headers_slist(&ask->headers);

    list = curl_slist_append(list, "Expect:");
    if (ask->with_body && !vic_headers_get(&ask->headers, "Content-Type"))
        list = curl_slist_append(list, "Content-Type:");
    return list;
}

void vic_ask_clear(struct vic_ask *ask)
{
    vic_headers_clear(&ask->headers);
    free(ask->method);
    free(ask->url);
    free(ask->body);
    memset(ask, 0, sizeof(*ask));
}
