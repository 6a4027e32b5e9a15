/*
 * url: what may be asked for, and how it is named in messages. Any thread.
 */
#ifndef VIC_URL_H
#define VIC_URL_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

/* Whether `url` is an http or https URL with a host and without control
 * characters or blanks; else kind invalid. */
int vic_url_check(const char *url, struct vic_error *err);

/* scheme://host[:port]/path: no user, password, query or fragment, so that it may
 * be shown. An unreadable URL gives "(unreadable URL)". */
void vic_url_redact(const char *url, char *text, size_t size);

/* "https://host:port/.../last": as above, and without what of the path may be a token.
 * free() it. */
char *vic_url_name(const char *url);

/* Its host as curl reads it: numbers are dotted, IPv6 in brackets; or NULL. free() it. */
char *vic_url_host(const char *url);

/* `url` without user and password, or NULL. free() it. */
char *vic_url_plain(const char *url);

/* Where `location` points, seen from `base`; NULL if it is no URL or brings
 * credentials of its own. free() it. */
char *vic_url_join(const char *base, const char *location);

/* Same scheme, host and port: who may see the other's credentials. */
bool vic_url_same_origin(const char *a, const char *b);

bool vic_url_is_https(const char *url);

#endif
