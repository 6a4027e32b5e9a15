/*
 * answer: what came back, head and body, bounded. Any thread, one at a time.
 */
#ifndef VIC_ANSWER_H
#define VIC_ANSWER_H

#include "error.h"
#include "headers.h"
#include "tls.h"

#include <stdbool.h>
#include <stddef.h>

/* What came of heads so far, those of 1xx answers and trailers included. Zeroed is none. */
struct vic_head_size {
    size_t bytes;
    unsigned lines;
};

/* A line of so many bytes; kind http: that is more than any server needs to say. */
int vic_head_size_add(struct vic_head_size *head, size_t size, struct vic_error *err);

/* Zeroed is empty; vic_answer_clear() frees what it holds. */
struct vic_answer {
    int status;
    bool complete; /* the head is: no more 1xx, no more headers */
    struct vic_headers headers;
    struct vic_head_size head;
    char *body; /* not terminated; NULL if nothing came */
    size_t body_size;
    size_t body_room;
    char *url; /* who answered, without user and password */
    bool has_peer;
    struct vic_tls_peer peer;
};

void vic_answer_clear(struct vic_answer *answer);

/* A line of the head as it came; the empty one makes it complete. */
int vic_answer_line(struct vic_answer *answer, const char *line, size_t size,
                    struct vic_error *err);

/* Keeps bytes of the body; kind http if that makes more than `most`. */
int vic_answer_bytes(struct vic_answer *answer, const char *bytes, size_t size,
                     size_t most, struct vic_error *err);

/* Where it redirects to, or NULL if it does not. */
const char *vic_answer_location(const struct vic_answer *answer);

#endif
