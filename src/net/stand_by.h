/*
 * stand_by: a replica that stands by has no images: it sends who asks for one to the
 * replica that leads. Any thread.
 */
#ifndef VIC_STAND_BY_H
#define VIC_STAND_BY_H

#include <pthread.h>

struct MHD_Response;

struct vic_stand_by {
    pthread_mutex_t lock;
    char *base; /* "http://10.0.0.1:8080"; NULL: here, or not known */
};

void vic_stand_by_init(struct vic_stand_by *s);
void vic_stand_by_fini(struct vic_stand_by *s);

/* Copies it; NULL: nowhere else. */
void vic_stand_by_set(struct vic_stand_by *s, const char *base);

/* What sends a request for `path` there; NULL: nowhere else. */
struct MHD_Response *vic_stand_by_response(struct vic_stand_by *s, const char *path);

#endif
