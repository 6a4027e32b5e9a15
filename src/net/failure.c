/*
 * failure: see failure.h.
 */
#include "failure.h"

#include "handshake.h"
#include "url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How far it came: what curl itself says of that differs from version to version. */
static int fail_timeout(const struct vic_failure *f, const char *what,
                        struct vic_error *err)
{
    const char *doing = "connecting";
    curl_off_t resolved = 0;

    curl_easy_getinfo(f->easy, CURLINFO_NAMELOOKUP_TIME_T, &resolved);
    if (!resolved)
        doing = "resolving its name";
    else if (vic_tls_began(f->tls, f->url, f->connect_timeout))
        doing = "TLS handshake";
    return vic_error_set(err, VIC_TIMEOUT, "%s: %s timed out after %g s", what, doing,
                         f->connect_timeout);
}

static int fail_connect(const struct vic_failure *f, const char *what, const char *text,
                        struct vic_error *err)
{
    long number = 0;

    curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &number);
    return vic_error_set(err, VIC_CONNECT, "%s: cannot connect: %s", what,
                         number ? strerror((int)number) : text);
}

int vic_failure_error(const struct vic_failure *f, const char *what,
                      struct vic_error *err)
{
    const char *text = f->text[0] ? f->text : curl_easy_strerror(f->code);

    if (vic_tls_failed(f->code) || vic_handshake_knows(text))
        return vic_tls_error(f->tls, what, f->url, text, err);

    switch (f->code) {
    case CURLE_OPERATION_TIMEDOUT:
        return fail_timeout(f, what, err);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return vic_error_set(err, VIC_DNS, "%s: %s", what, text);
    case CURLE_COULDNT_CONNECT:
        if (f->reach->refused[0])
            return vic_reach_error(f->reach, what, err);
        return fail_connect(f, what, text, err);
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return vic_error_set(err, VIC_CONNECT, "%s: the connection broke: %s", what,
                             text);
    case CURLE_OUT_OF_MEMORY: /* what curl says of a line beyond its own bound */
#if LIBCURL_VERSION_NUM >= 0x080600
    case CURLE_TOO_LARGE: /* and what it says since */
#endif
        return vic_error_set(err, VIC_HTTP, "%s: a line of the answer's head is too long",
                             what);
    default:
        return vic_error_set(err, VIC_HTTP, "%s: %s", what, text);
    }
}

void vic_failure_what(const char *method, const char *url, bool discreet, char *text,
                      size_t size)
{
    char shown[400];
    char *name = NULL;

    if (discreet)
        name = vic_url_name(url);
    else
        vic_url_redact(url, shown, sizeof(shown));
    snprintf(text, size, "%s %s", method, name ? name : shown);
    free(name);
}
