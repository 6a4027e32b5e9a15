/*
 * multi: libcurl's multi interface on a libuv loop, one per pool of connections.
 *
 * Loop thread only. Connections are reused within one multi and never between
 * two: curl does not tell a connection verified by one pin or CA from another.
 * At most `max_active` transfers run at once, the rest wait in line, and their
 * connect time-outs begin when their turn comes.
 *
 * Counted: its maker holds one reference and so does whoever uses it later; the
 * last unref frees, which must not happen inside a callback of curl.
 */
#ifndef VIC_MULTI_H
#define VIC_MULTI_H

#include "error.h"

#include <curl/curl.h>
#include <uv.h>

#include <stdbool.h>

struct vic_multi;
struct vic_tls;

struct vic_multi_opts {
    unsigned max_active; /* transfers at once; 0: 8 */
    struct vic_tls *tls; /* taken over, also on failure: freed with the multi */
    bool cookies;        /* keep cookies in memory, shared by all transfers */
    const char *cert;    /* client certificate and key, PEM; NULL for none */
    const char *key;
};

/* A transfer. Embed it; it belongs to the caller. */
struct vic_multi_entry {
    CURL *easy;     /* set by the caller, with all its options */
    bool unlimited; /* does not wait in line, and is not counted */
    void (*started)(struct vic_multi_entry *entry); /* its turn has come; may be NULL */
    /* It is over and out of the multi. May add and remove entries. */
    void (*done)(struct vic_multi_entry *entry, CURLcode code);

    struct vic_multi_entry *next; /* from here on: multi's own */
    int state;
};

struct vic_multi *vic_multi_new(uv_loop_t *loop, const struct vic_multi_opts *opts,
                                struct vic_error *err);
struct vic_multi *vic_multi_ref(struct vic_multi *multi);
void vic_multi_unref(struct vic_multi *multi);

uv_loop_t *vic_multi_loop(const struct vic_multi *multi);
struct vic_tls *vic_multi_tls(const struct vic_multi *multi);

/* An easy handle with everything set that all transfers of this multi share:
 * verification, cookies, no signals, no waiting for getaddrinfo. The caller frees
 * it with curl_easy_cleanup(), before its reference to the multi. */
CURL *vic_multi_easy(struct vic_multi *multi, struct vic_error *err);

/* Starts the transfer or puts it in line; `done` is never called from in here. */
void vic_multi_add(struct vic_multi *multi, struct vic_multi_entry *entry);

/* Takes it out, at once and wherever it is; `done` is not called. Not from a
 * callback of curl. An entry that is done already is left alone. */
void vic_multi_remove(struct vic_multi *multi, struct vic_multi_entry *entry);

/* Forgets every cookie. */
void vic_multi_clear_cookies(struct vic_multi *multi);

#endif
