/*
 * failure: what it means that curl ended with a code. Any thread.
 */
#ifndef VIC_FAILURE_H
#define VIC_FAILURE_H

#include "error.h"
#include "reach.h"
#include "tls.h"

#include <curl/curl.h>

struct vic_failure {
    CURL *easy; /* still as the transfer left it */
    CURLcode code;
    const char *text; /* curl's error buffer; may be "" */
    const struct vic_tls *tls;
    const char *url;        /* the one it was connected to */
    double connect_timeout; /* seconds, as it was set */
    const struct vic_reach *reach;
};

/* Fills `err`: kind dns, connect, tls, timeout, http or (net/reach) invalid, and "WHAT: reason". Always -1. */
int vic_failure_error(const struct vic_failure *failure, const char *what,
                      struct vic_error *err);

/* "METHOD url" as messages show it: no credentials, no query; `discreet`: as
 * vic_url_name() has it, for a path may be a credential, too. */
void vic_failure_what(const char *method, const char *url, bool discreet, char *text,
                      size_t size);

#endif
