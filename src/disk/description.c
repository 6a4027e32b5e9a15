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

struct vic_description *vic_description_new(const struct vic_transfer_opts *opts)
{
    struct vic_description *d = vic_alloc(sizeof(*d));
    struct vic_transfer_opts *o = &d->opts;

    *o = *opts;
    o->file = vic_strdup(opts->file);
    o->expected = vic_strdup(opts->expected);
    o->http.url = vic_strdup(opts->http.url);
    o->http.connect_to = vic_strdup(opts->http.connect_to);
    o->http.headers = copy_list(opts->http.headers);
    o->http.renewal = vic_renewal_ref(opts->http.renewal);
    o->http.tls.ca = vic_strdup(opts->http.tls.ca);
    o->http.tls.thumbprint = vic_strdup(opts->http.tls.thumbprint);
    o->http.tls.ca_field = vic_strdup(opts->http.tls.ca_field);
    o->http.tls.thumbprint_field = vic_strdup(opts->http.tls.thumbprint_field);
    o->output = NULL;
    o->ended = NULL;
    o->arg = NULL;
    return d;
}

void vic_description_free(struct vic_description *d)
{
    if (!d)
        return;
    free((char *)d->opts.file);
    free((char *)d->opts.expected);
    free((char *)d->opts.http.url);
    free((char *)d->opts.http.connect_to);
    free_list(d->opts.http.headers);
    vic_renewal_unref(d->opts.http.renewal);
    free((char *)d->opts.http.tls.ca);
    free((char *)d->opts.http.tls.thumbprint);
    free((char *)d->opts.http.tls.ca_field);
    free((char *)d->opts.http.tls.thumbprint_field);
    free(d);
}
