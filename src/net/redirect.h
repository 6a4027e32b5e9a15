/*
 * redirect: what a redirect makes of a request. Decides only; any thread.
 *
 * Credentials stay where they were meant to go: another origin gets nothing that
 * the caller gave, neither headers nor body, and nothing goes from https to http.
 */
#ifndef VIC_REDIRECT_H
#define VIC_REDIRECT_H

#include "ask.h"
#include "error.h"

#include <stdbool.h>

/* Turns `ask`, which was answered by `status` and this location, into the next one.
 * `stay`: no other origin at all. kind http: it may not be followed. */
int vic_redirect(struct vic_ask *ask, int status, const char *location, bool stay,
                 struct vic_error *err);

#endif
