/*
 * description: see description.h.
 */
#include "description.h"

#include "alloc.h"
#include "renewal.h"

#include <stdlib.h>

static const char *const *copy_list(const char *const *list)
{
    const char **copy;
    size_t count = 0;
    size_t i;

    if (!list)
        return NULL;
    while (list[count])
        count++;
    copy = vic_alloc((count + 1) * sizeof(*copy));
    for (i = 0; i < count; i++)
        copy[i] = vic_strdup(list[i]);
    return copy;
}

static void free_list(const char *const *list)
{
    size_t i;

    for (i = 0; list && list[i]; i++)
        free((char *)list[i]);
    free((void *)list);
}

struct vic_description *vic_description_copy(const struct vic_description *d)
{
    struct vic_description *copy = vic_alloc(sizeof(*copy));
    struct vic_http_source_opts *http = &copy->http;

    *copy = *d;
    copy->file = vic_strdup(d->file);
    copy->expected = vic_strdup(d->expected);
    http->url = vic_strdup(d->http.url);
    http->connect_to = vic_strdup(d->http.connect_to);
    http->headers = copy_list(d->http.headers);
    http->renewal = vic_renewal_ref(d->http.renewal);
    http->tls.ca = vic_strdup(d->http.tls.ca);
    http->tls.thumbprint = vic_strdup(d->http.tls.thumbprint);
    http->tls.ca_field = vic_strdup(d->http.tls.ca_field);
    http->tls.thumbprint_field = vic_strdup(d->http.tls.thumbprint_field);
    return copy;
}

void vic_description_free(struct vic_description *d)
{
    if (!d)
        return;
    free((char *)d->file);
    free((char *)d->expected);
    free((char *)d->http.url);
    free((char *)d->http.connect_to);
    free_list(d->http.headers);
    vic_renewal_unref(d->http.renewal);
    free((char *)d->http.tls.ca);
    free((char *)d->http.tls.thumbprint);
    free((char *)d->http.tls.ca_field);
    free((char *)d->http.tls.thumbprint_field);
    free(d);
}

struct vic_source *vic_description_source(const struct vic_description *d,
                                          struct vic_error *err)
{
    if (vic_window_check(&d->http.window, err))
        return NULL;
    if (d->zeros)
        return vic_zero_source_new(d->zeros);
    return d->file ? vic_file_source_new(d->file, &d->http.window)
                   : vic_http_source_new(&d->http, err);
}

int vic_description_check(const struct vic_description *d, struct vic_error *err)
{
    struct vic_source *source = vic_description_source(d, err);

    if (!source)
        return -1;
    source->free(source);
    return 0;
}
