/*
 * url: all parsing is curl's own, so that what is checked here is what curl does.
 */
#include "url.h"

#include "alloc.h"

#include <curl/curl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_SIZE 512

static CURLU *url_parse(const char *url)
{
    CURLU *parts = curl_url();

    if (parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK)
        return parts;
    curl_url_cleanup(parts);
    return NULL;
}

/* The whole URL of `parts` as our own memory, or NULL. */
static char *url_text(CURLU *parts)
{
    char *text = NULL;
    char *copy = NULL;

    if (curl_url_get(parts, CURLUPART_URL, &text, 0) == CURLUE_OK)
        copy = vic_strdup(text);
    curl_free(text);
    return copy;
}

int vic_url_check(const char *url, struct vic_error *err)
{
    const unsigned char *at;
    char shown[512];
    CURLUcode code;
    CURLU *parts;

    for (at = (const unsigned char *)url; *at; at++)
        if (*at <= ' ' || *at == 0x7f)
            return vic_error_set(err, VIC_INVALID,
                                 "a URL with a blank or control character in it");
    parts = curl_url();
    code = parts ? curl_url_set(parts, CURLUPART_URL, url, 0) : CURLUE_OUT_OF_MEMORY;
    curl_url_cleanup(parts);
    if (!vic_url_is_https(url) && strncasecmp(url, "http://", 7) != 0)
        code = CURLUE_UNSUPPORTED_SCHEME;
    if (code == CURLUE_OK)
        return 0;
    if (code != CURLUE_UNSUPPORTED_SCHEME)
        return vic_error_set(err, VIC_INVALID,
                             "the URL cannot be read (%s); it has to be "
                             "https://HOST[:PORT]/PATH",
                             curl_url_strerror(code));
    vic_url_redact(url, shown, sizeof(shown));
    return vic_error_set(err, VIC_INVALID, "%s: not an http or https URL", shown);
}

void vic_url_redact(const char *url, char *text, size_t size)
{
    CURLU *parts = url_parse(url);
    char *shown;

    if (parts) {
        curl_url_set(parts, CURLUPART_USER, NULL, 0);
        curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0);
        curl_url_set(parts, CURLUPART_OPTIONS, NULL, 0);
        curl_url_set(parts, CURLUPART_QUERY, NULL, 0);
        curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0);
    }
    shown = parts ? url_text(parts) : NULL;
    snprintf(text, size, "%s", shown ? shown : "(unreadable URL)");
    free(shown);
    curl_url_cleanup(parts);
}

char *vic_url_name(const char *url)
{
    CURLU *parts = url_parse(url);
    char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL;
    char *text = vic_alloc(NAME_SIZE);
    const char *last;

    if (parts && !curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) &&
        !curl_url_get(parts, CURLUPART_HOST, &host, 0) &&
        !curl_url_get(parts, CURLUPART_PATH, &path, 0)) {
        curl_url_get(parts, CURLUPART_PORT, &port, 0);
        last = strrchr(path, '/');
        last = last ? last + 1 : "";
        snprintf(text, NAME_SIZE, "%s://%.200s%s%s/%s%.100s", scheme, host,
                 port ? ":" : "", port ? port : "", last > path + 1 ? ".../" : "", last);
    } else {
        snprintf(text, NAME_SIZE, "(unreadable URL)");
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_url_cleanup(parts);
    return text;
}

char *vic_url_host(const char *url)
{
    CURLU *parts = url_parse(url);
    char *host = NULL, *copy = NULL;

    if (parts && curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK)
        copy = vic_strdup(host);
    curl_free(host);
    curl_url_cleanup(parts);
    return copy;
}

char *vic_url_plain(const char *url)
{
    CURLU *parts = url_parse(url);
    char *plain;

    if (!parts)
        return NULL;
    curl_url_set(parts, CURLUPART_USER, NULL, 0);
    curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0);
    plain = url_text(parts);
    curl_url_cleanup(parts);
    return plain;
}

char *vic_url_join(const char *base, const char *location)
{
    CURLU *parts = url_parse(base);
    char *joined = NULL;
    struct vic_error ignored;

    if (!parts)
        return NULL;
    if (curl_url_set(parts, CURLUPART_URL, location,
                     CURLU_URLENCODE | CURLU_DISALLOW_USER) == CURLUE_OK)
        joined = url_text(parts);
    curl_url_cleanup(parts);
    if (joined && vic_url_check(joined, &ignored) < 0) {
        free(joined);
        joined = NULL;
    }
    return joined;
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
    char *one = NULL;
    char *two = NULL;
    bool same = false;

    if (curl_url_get(a, part, &one, CURLU_DEFAULT_PORT) == CURLUE_OK &&
        curl_url_get(b, part, &two, CURLU_DEFAULT_PORT) == CURLUE_OK)
        same = strcasecmp(one, two) == 0;
    curl_free(one);
    curl_free(two);
    return same;
}

bool vic_url_same_origin(const char *a, const char *b)
{
    CURLU *one = url_parse(a);
    CURLU *two = url_parse(b);
    bool same = one && two && same_part(one, two, CURLUPART_SCHEME) &&
                same_part(one, two, CURLUPART_HOST) &&
                same_part(one, two, CURLUPART_PORT);

    curl_url_cleanup(one);
    curl_url_cleanup(two);
    return same;
}

bool vic_url_is_https(const char *url)
{
    return strncasecmp(url, "https://", 8) == 0;
}
