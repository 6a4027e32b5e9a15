/*
 * request: one HTTP request on a multi until its answer, redirects included.
 *
 * Loop thread only. It is started with vic_request_start(), ends once, says so by
 * `done` (never from inside start or cancel), and is then freed by its maker. The
 * body goes to memory, bounded, or to the maker as it arrives.
 */
#ifndef VIC_REQUEST_H
#define VIC_REQUEST_H

#include "answer.h"
#include "error.h"
#include "headers.h"

#include <stdbool.h>
#include <stddef.h>

struct vic_multi;
struct vic_request;

struct vic_request_opts {
    const char *method; /* NULL: GET */
    const char *url;
    struct vic_headers *headers; /* taken over (left empty); may be NULL */
    const char *body;            /* copied; NULL for none */
    size_t body_size;
    const char *user_agent; /* a constant; NULL for none */
    const char *task;       /* for whom it is, for the log; copied; NULL for nobody */
    double connect_timeout; /* seconds: resolve, connect and TLS */
    double timeout;         /* seconds without a byte, once connected */
    double total_timeout;   /* seconds for all of it; 0: no limit */
    size_t max_body;        /* bytes of an answer's body that is kept */
    unsigned follow;        /* redirects at most */
    bool stay;              /* none to another origin */
    bool once;              /* sent at most once: on a new connection */
    bool shares;            /* takes net/room for a large body that is kept */
    bool discreet;          /* its path is not shown: it may be a credential */
    bool anywhere;          /* of the administrator: net/reach refuses nothing */
    bool unlimited;         /* not counted among the multi's transfers */
    double before;          /* CLOCK_BOOTTIME seconds: not sent from then on; 0: never */

    void *arg;
    void (*done)(void *arg);
    /* The head of the last answer is there. True: its body goes to on_bytes; else, or
     * if this is NULL, it is kept. */
    bool (*on_head)(void *arg);
    /* The next bytes of the body. 0: taken; 1: not now, after vic_request_resume()
     * again; -1: err is set, and ends it. */
    int (*on_bytes)(void *arg, const char *bytes, size_t size, struct vic_error *err);
};

/* NULL and err: an option is not acceptable (kind invalid). */
struct vic_request *vic_request_start(struct vic_multi *multi,
                                      const struct vic_request_opts *opts,
                                      struct vic_error *err);

/* Ends it with kind cancelled; at once, also while a name is being resolved. */
void vic_request_cancel(struct vic_request *request);

/* After on_bytes said 1. It may be called from in here. */
void vic_request_resume(struct vic_request *request);

/* "GET https://host/path", for people. */
void vic_request_what(const struct vic_request *request, char *what, size_t size);

/* The answer, once its head is there. */
const struct vic_answer *vic_request_answer(const struct vic_request *request);

/* Why it failed, or NULL. */
const struct vic_error *vic_request_error(const struct vic_request *request);

/* Whether it failed because it may not go there (net/reach). */
bool vic_request_is_denied(const struct vic_request *request);

/* Only after `done`. */
void vic_request_free(struct vic_request *request);

#endif
