/*
 * upload: a request's body on its way out, and the time from which none of it goes.
 *
 * Whoever may change something only until then (a replica that leads) must not: the
 * process, or the machine, may be asleep between any two of its bytes, and a server
 * carries out a request whose last byte comes, whenever that is.
 */
#ifndef VIC_UPLOAD_H
#define VIC_UPLOAD_H

#include <curl/curl.h>

#include <stdbool.h>
#include <stddef.h>

struct vic_deadline;

/* Embed it; `sent` is its own. */
struct vic_upload {
    const char *body;
    size_t size;
    size_t sent;                   /* bytes that curl took */
    double before;                 /* CLOCK_BOOTTIME seconds; 0: never too late */
    struct vic_deadline *deadline; /* touched whenever curl takes some */
};

/* Whether it is too late, now. */
bool vic_upload_is_late(const struct vic_upload *upload);

/* From its beginning: the body, if it has one, of the handle's request. */
void vic_upload_apply(struct vic_upload *upload, CURL *easy);

#endif
