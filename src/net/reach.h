/*
 * reach: where connections to other people's machines may not go.
 *
 * Who names an endpoint, or answers with a redirect or a catalogue, must not make us
 * knock at doors that only we can reach, and read to him what is said there. What counts
 * is the address that is connected to, whatever name or spelling led to it.
 *
 * The ranges are the process's. Any thread may ask and set.
 */
#ifndef VIC_REACH_H
#define VIC_REACH_H

#include "error.h"

#include <curl/curl.h>

#include <stdbool.h>
#include <stddef.h>

/* One transfer's. Zeros are a good one; it outlives its handle. */
struct vic_reach {
    bool anywhere;     /* it is the administrator's own: nothing is refused */
    char refused[120]; /* why the last address was, or "" */
};

/* Forgets all ranges: everything is allowed again. */
void vic_reach_clear(void);

/* "10.53.0.0/16", "fd00::/8", "10.0.0.1"; "loopback": this machine, by all addresses that
 * it has now; "link-local": those, and where clouds tell their machines' secrets. `name`
 * is what messages call it. -1 (invalid): none of these. */
int vic_reach_deny(const char *range, const char *name, struct vic_error *err);

/* The addresses that a host's name has now; it may take as long as a resolver does. 0:
 * it has none. */
size_t vic_reach_deny_host(const char *host, const char *name);

/* The proxies of the environment are allowed, wherever they are: the administrator chose
 * them. What a proxy connects to by a name is its own to judge. */
void vic_reach_allow_proxies(void);

/* Judges each address that `easy` is about to connect to; sockets are no child's. */
void vic_reach_apply(struct vic_reach *reach, CURL *easy);

/* Whether the host of `url`, if it is an address or "localhost", may be connected to; with
 * a proxy between nothing else would look at it. -1 (invalid): no. */
int vic_reach_check(struct vic_reach *reach, const char *url, struct vic_error *err);

/* Fills `err` (invalid): "WHAT: refused". Always -1. */
int vic_reach_error(const struct vic_reach *reach, const char *what,
                    struct vic_error *err);

#endif
