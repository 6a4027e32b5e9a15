/*
 * reach: see reach.h. All addresses are kept and compared as IPv6: an IPv4 address is
 * ::ffff:a.b.c.d, in whichever of its IPv6 forms it comes.
 */
#include "reach.h"

#include "alloc.h"
#include "url.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define BITS     128
#define V4_BITS  96 /* of ::ffff:0:0/96 */
#define LONGEST  64 /* of a range's text */
#define PORT_ANY 0

struct range {
    struct in6_addr base;
    unsigned bits;
    uint16_t port; /* of a proxy; PORT_ANY: whichever */
    char name[32];
};

static struct {
    pthread_rwlock_t lock;
    struct range *denied;
    size_t denied_count;
    struct range *allowed; /* of proxies */
    size_t allowed_count;
} known = { .lock = PTHREAD_RWLOCK_INITIALIZER };

/* ---- addresses ---- */

static void of_v4(const void *four, struct in6_addr *address)
{
    static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

    memcpy(address->s6_addr, mapped, sizeof(mapped));
    memcpy(address->s6_addr + 12, four, 4);
}

/* An IPv4 address within an IPv6 one: mapped, compatible, or behind NAT64 or 6to4. */
static void reach_unwrap(struct in6_addr *address)
{
    static const unsigned char nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
    static const unsigned char zeros[12];
    unsigned char four[4];

    memcpy(four, address->s6_addr + 12, 4);
    if (memcmp(address->s6_addr, nat64, 12) == 0 ||
        (memcmp(address->s6_addr, zeros, 12) == 0 && (four[0] || four[1] || four[2]))) {
        of_v4(four, address);
    } else if (address->s6_addr[0] == 0x20 && address->s6_addr[1] == 0x02) {
        memcpy(four, address->s6_addr + 2, 4);
        of_v4(four, address);
    }
}

static bool address_of(const struct sockaddr *from, struct in6_addr *address,
                       uint16_t *port)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;

    if (from->sa_family == AF_INET) {
        of_v4(&v4->sin_addr, address);
        *port = ntohs(v4->sin_port);
    } else if (from->sa_family == AF_INET6) {
        *address = v6->sin6_addr;
        *port = ntohs(v6->sin6_port);
        reach_unwrap(address);
    } else {
        return false;
    }
    return true;
}

static void reach_show(const struct in6_addr *address, char text[INET6_ADDRSTRLEN])
{
    if (IN6_IS_ADDR_V4MAPPED(address))
        inet_ntop(AF_INET, address->s6_addr + 12, text, INET6_ADDRSTRLEN);
    else
        inet_ntop(AF_INET6, address, text, INET6_ADDRSTRLEN);
}

static bool is_within(const struct range *range, const struct in6_addr *address,
                      uint16_t port)
{
    unsigned bytes = range->bits / 8, rest = range->bits % 8;
    unsigned mask = (0xff00u >> rest) & 0xff;

    if (range->port != PORT_ANY && range->port != port)
        return false;
    if (memcmp(range->base.s6_addr, address->s6_addr, bytes) != 0)
        return false;
    return rest == 0 ||
           ((range->base.s6_addr[bytes] ^ address->s6_addr[bytes]) & mask) == 0;
}

static const struct range *reach_find(const struct range *list, size_t count,
                                      const struct in6_addr *address, uint16_t port)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (is_within(&list[i], address, port))
            return &list[i];
    return NULL;
}

/* ---- the ranges ---- */

static void reach_add(struct range **list, size_t *count, const struct range *range)
{
    pthread_rwlock_wrlock(&known.lock);
    *list = vic_realloc(*list, (*count + 1) * sizeof(**list));
    (*list)[(*count)++] = *range;
    pthread_rwlock_unlock(&known.lock);
}

static void reach_deny(const struct in6_addr *base, unsigned bits, const char *name)
{
    struct range range = { .base = *base, .bits = bits };

    snprintf(range.name, sizeof(range.name), "%s", name);
    reach_add(&known.denied, &known.denied_count, &range);
}

void vic_reach_clear(void)
{
    pthread_rwlock_wrlock(&known.lock);
    free(known.denied);
    free(known.allowed);
    known.denied = known.allowed = NULL;
    known.denied_count = known.allowed_count = 0;
    pthread_rwlock_unlock(&known.lock);
}

/* "ADDRESS" or "ADDRESS/BITS". */
static int reach_parse(const char *text, struct in6_addr *base, unsigned *bits)
{
    char address[LONGEST];
    const char *slash = strchr(text, '/');
    size_t size = slash ? (size_t)(slash - text) : strlen(text);
    unsigned most = BITS, offset = 0;
    struct in_addr four;
    char *end = NULL;
    long number;

    if (size >= sizeof(address))
        return -1;
    memcpy(address, text, size);
    address[size] = '\0';
    if (inet_pton(AF_INET, address, &four) == 1) {
        of_v4(&four, base);
        most = BITS - V4_BITS;
        offset = V4_BITS;
    } else if (inet_pton(AF_INET6, address, base) != 1) {
        return -1;
    }
    number = slash ? strtol(slash + 1, &end, 10) : (long)most;
    if (slash && (end == slash + 1 || *end))
        return -1;
    if (number < 0 || number > (long)most)
        return -1;
    *bits = (unsigned)number + offset;
    return 0;
}

static void reach_deny_all(const char *const *ranges, const char *name)
{
    struct in6_addr base;
    unsigned bits;

    for (; *ranges; ranges++)
        if (reach_parse(*ranges, &base, &bits) == 0)
            reach_deny(&base, bits, name);
}

/* What this machine is called by its own interfaces: a pod's address is the loopback's
 * other name. */
static void reach_deny_own(const char *name)
{
    struct ifaddrs *all = NULL, *at;
    struct in6_addr address;
    uint16_t port;

    if (getifaddrs(&all) < 0)
        return;
    for (at = all; at; at = at->ifa_next)
        if (at->ifa_addr && address_of(at->ifa_addr, &address, &port))
            reach_deny(&address, BITS, name);
    freeifaddrs(all);
}

int vic_reach_deny(const char *range, const char *name, struct vic_error *err)
{
    /* The unspecified address is this machine as well. */
    static const char *const loopback[] = { "127.0.0.0/8", "0.0.0.0/8", "::1",
                                            "::", NULL };
    static const char *const link_local[] = { "169.254.0.0/16", "fe80::/10",
                                              "fd00:ec2::254", NULL };
    struct in6_addr base;
    unsigned bits;

    if (strcmp(range, "loopback") == 0) {
        reach_deny_all(loopback, name);
        reach_deny_own(name);
    } else if (strcmp(range, "link-local") == 0) {
        reach_deny_all(link_local, name);
    } else if (reach_parse(range, &base, &bits) == 0) {
        reach_deny(&base, bits, name);
    } else {
        return vic_error_set(err, VIC_INVALID,
                             "%.100s: no range of addresses such as 10.53.0.0/16", range);
    }
    return 0;
}

/* Adds the addresses of a host as `like` says. */
static size_t reach_resolve(const char *host, struct range **list, size_t *count,
                            const struct range *like)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL, *at;
    struct range range = *like;
    size_t before = *count;
    uint16_t port;

    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return 0;
    for (at = found; at; at = at->ai_next)
        if (address_of(at->ai_addr, &range.base, &port))
            reach_add(list, count, &range);
    freeaddrinfo(found);
    return *count - before;
}

size_t vic_reach_deny_host(const char *host, const char *name)
{
    struct range range = { .bits = BITS };

    snprintf(range.name, sizeof(range.name), "%s", name);
    return reach_resolve(host, &known.denied, &known.denied_count, &range);
}

static void reach_allow_proxy(const char *url)
{
    struct range range = { .bits = BITS };
    char *host = NULL, *port = NULL;
    CURLU *parts = curl_url();

    if (parts &&
        !curl_url_set(parts, CURLUPART_URL, url,
                      CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME) &&
        !curl_url_get(parts, CURLUPART_HOST, &host, 0)) {
        curl_url_get(parts, CURLUPART_PORT, &port, 0);
        range.port =
            (uint16_t)(port ? strtol(port, NULL, 10) : 1080); /* curl's own default */
        reach_resolve(host, &known.allowed, &known.allowed_count, &range);
    }
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
}

void vic_reach_allow_proxies(void)
{
    static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY",
                                         "all_proxy",  "ALL_PROXY",   NULL };
    const char *const *name;

    for (name = names; *name; name++) {
        const char *url = getenv(*name);

        if (url && *url)
            reach_allow_proxy(url);
    }
}

/* ---- the judgement ---- */

/* Whether it may be; else says in `reach` why not. */
static bool reach_may(struct vic_reach *reach, const struct in6_addr *address,
                      uint16_t port)
{
    char text[INET6_ADDRSTRLEN];
    const struct range *range;

    if (reach->anywhere)
        return true;
    pthread_rwlock_rdlock(&known.lock);
    range = reach_find(known.denied, known.denied_count, address, port);
    if (range && reach_find(known.allowed, known.allowed_count, address, port))
        range = NULL;
    if (range) {
        reach_show(address, text);
        snprintf(reach->refused, sizeof(reach->refused), "%s (%s)", text, range->name);
    }
    pthread_rwlock_unlock(&known.lock);
    return !range;
}

static curl_socket_t reach_open_socket(void *arg, curlsocktype purpose,
                                       struct curl_sockaddr *to)
{
    struct in6_addr address;
    uint16_t port;

    (void)purpose;
    if (address_of(&to->addr, &address, &port) && !reach_may(arg, &address, port))
        return CURL_SOCKET_BAD;
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

void vic_reach_apply(struct vic_reach *reach, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, reach_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, reach);
}

int vic_reach_error(const struct vic_reach *reach, const char *what,
                    struct vic_error *err)
{
    return vic_error_set(err, VIC_INVALID,
                         "%s: it leads to %s, where no source may lead (the controller's "
                         "--deny-endpoints)",
                         what, reach->refused);
}

/* The address that a URL's host is; "localhost" is one as well. */
static bool host_address(const char *host, struct in6_addr *address)
{
    size_t size = strlen(host);
    char bare[LONGEST];
    unsigned bits;

    if (strcasecmp(host, "localhost") == 0 ||
        (size > 10 && strcasecmp(host + size - 10, ".localhost") == 0))
        host = "127.0.0.1";
    snprintf(bare, sizeof(bare), "%s", host + (host[0] == '['));
    bare[strcspn(bare, "]%/")] = '\0';
    if (reach_parse(bare, address, &bits) < 0)
        return false;
    reach_unwrap(address);
    return true;
}

int vic_reach_check(struct vic_reach *reach, const char *url, struct vic_error *err)
{
    struct in6_addr address;
    char *host = vic_url_host(url);
    int result = 0;
    char what[300];

    if (host && host_address(host, &address) && !reach_may(reach, &address, PORT_ANY)) {
        vic_url_redact(url, what, sizeof(what));
        result = vic_reach_error(reach, what, err);
    }
    free(host);
    return result;
}
