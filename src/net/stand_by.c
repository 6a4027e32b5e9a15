#include "stand_by.h"

#include "alloc.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

void vic_stand_by_init(struct vic_stand_by *s)
{
    pthread_mutex_init(&s->lock, NULL);
    s->base = NULL;
}

void vic_stand_by_fini(struct vic_stand_by *s)
{
    free(s->base);
    pthread_mutex_destroy(&s->lock);
}

void vic_stand_by_set(struct vic_stand_by *s, const char *base)
{
    pthread_mutex_lock(&s->lock);
    free(s->base);
    s->base = base ? vic_strdup(base) : NULL;
    pthread_mutex_unlock(&s->lock);
}

/* The URL of `path` there, to be freed; NULL: nowhere else. */
static char *url_of(struct vic_stand_by *s, const char *path)
{
    char *url = NULL;

    pthread_mutex_lock(&s->lock);
    if (s->base) {
        size_t size = strlen(s->base);

        url = vic_alloc(size + strlen(path) + 1);
        memcpy(url, s->base, size);
        strcpy(url + size, path);
    }
    pthread_mutex_unlock(&s->lock);
    return url;
}

struct MHD_Response *vic_stand_by_response(struct vic_stand_by *s, const char *path)
{
    char *url = url_of(s, path);
    struct MHD_Response *response;

    if (!url)
        return NULL;
    response = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Location", url);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    free(url);
    return response;
}
