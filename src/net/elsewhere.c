#include "elsewhere.h"

#include "alloc.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

void vic_elsewhere_init(struct vic_elsewhere *e)
{
    pthread_mutex_init(&e->lock, NULL);
    e->base = NULL;
}

void vic_elsewhere_fini(struct vic_elsewhere *e)
{
    free(e->base);
    pthread_mutex_destroy(&e->lock);
}

void vic_elsewhere_set(struct vic_elsewhere *e, const char *base)
{
    pthread_mutex_lock(&e->lock);
    free(e->base);
    e->base = base ? vic_strdup(base) : NULL;
    pthread_mutex_unlock(&e->lock);
}

/* The URL of `path` there, to be freed; NULL: nowhere else. */
static char *url_of(struct vic_elsewhere *e, const char *path)
{
    char *url = NULL;

    pthread_mutex_lock(&e->lock);
    if (e->base) {
        size_t size = strlen(e->base);

        url = vic_alloc(size + strlen(path) + 1);
        memcpy(url, e->base, size);
        strcpy(url + size, path);
    }
    pthread_mutex_unlock(&e->lock);
    return url;
}

struct MHD_Response *vic_elsewhere_response(struct vic_elsewhere *e, const char *path)
{
    char *url = url_of(e, path);
    struct MHD_Response *response;

    if (!url)
        return NULL;
    response = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Location", url);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    free(url);
    return response;
}
