/*
 * pages: pages of text by HTTP/1.1, one to a connection, from a thread of its own.
 *
 * It is for those who look whether we are alive, so nobody can keep it busy: a request's
 * head and an answer's way out have a time, connections have limits, all together and for
 * each address, and at a limit the oldest makes room. Whoever comes and asks is answered.
 */
#ifndef VIC_PAGES_H
#define VIC_PAGES_H

#include <stddef.h>

struct vic_error;
struct vic_pages;
struct vic_text;

#define VIC_PAGES_LATER 0 /* no status: the answer follows */

struct vic_pages_opts {
    int socket; /* that listens, does not block; taken over, also on failure */
    /* The page at `path`, which has no query: fills `text`, gives the status; or
     * VIC_PAGES_LATER: vic_pages_later() follows. On the server's thread. */
    unsigned (*page)(void *arg, const char *path, struct vic_text *text);
    void *arg;
};

/* NULL: *err says why. */
struct vic_pages *vic_pages_start(const struct vic_pages_opts *opts,
                                  struct vic_error *err);

/* Cuts all connections. NULL is fine. */
void vic_pages_stop(struct vic_pages *pages);

/* Answers all who wait since VIC_PAGES_LATER; the text is copied. Any thread. */
void vic_pages_later(struct vic_pages *pages, unsigned status, const char *text,
                     size_t size);

#endif
