/*
 * kept_body: a body that is kept whole in memory, in its share of the room if it is large.
 * Loop thread only.
 */
#ifndef VIC_KEPT_BODY_H
#define VIC_KEPT_BODY_H

#include "answer.h"
#include "room.h"

#include <curl/curl.h>

/* What came next of the body that `easy` gets, of `most` bytes at most. 0: taken; 1: there
 * is no room now, share->given() will say when; -1: err. `share` may be NULL: it needs
 * none. */
int vic_kept_body_add(struct vic_answer *answer, CURL *easy, struct vic_share *share,
                      const char *bytes, size_t size, size_t most, struct vic_error *err);

#endif
