/*
 * elsewhere: where the images of an image server are, while they are not here: at the
 * replica that leads. Any thread.
 */
#ifndef VIC_ELSEWHERE_H
#define VIC_ELSEWHERE_H

#include <pthread.h>

struct MHD_Response;

struct vic_elsewhere {
    pthread_mutex_t lock;
    char *base; /* "http://10.0.0.1:8080"; NULL: here, or not known */
};

void vic_elsewhere_init(struct vic_elsewhere *e);
void vic_elsewhere_fini(struct vic_elsewhere *e);

/* Copies it; NULL: nowhere else. */
void vic_elsewhere_set(struct vic_elsewhere *e, const char *base);

/* What sends a request for `path` there; NULL: nowhere else. */
struct MHD_Response *vic_elsewhere_response(struct vic_elsewhere *e, const char *path);

#endif
