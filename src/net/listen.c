#include "listen.h"

#include "error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int parse(const char *host, uint16_t port, struct sockaddr_storage *address,
                 struct vic_error *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;

    memset(address, 0, sizeof(*address));
    if (!host || inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return 0;
    }
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return 0;
    }
    return vic_error_set(err, VIC_INVALID, "listening on %s: not an IP address", host);
}

/* A listening socket or -1 with errno. */
static int open_socket(const struct sockaddr_storage *address, bool dual)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1, only = !dual, number;

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 &&
        listen(fd, SOMAXCONN) == 0)
        return fd;
    number = errno;
    close(fd);
    errno = number;
    return -1;
}

int vic_listen(const char *host, uint16_t port, struct vic_error *err)
{
    struct sockaddr_storage address;
    int fd;

    if (parse(host, port, &address, err) < 0)
        return -1;
    fd = open_socket(&address, !host);
    if (fd < 0 && !host && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
        parse("0.0.0.0", port, &address, err); /* a kernel without IPv6 */
        fd = open_socket(&address, false);
    }
    if (fd < 0)
        vic_error_errno(err, errno, "listening on %s port %u",
                        host ? host : "all addresses", port);
    return fd;
}

uint16_t vic_listen_port(int fd)
{
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof(address);

    getsockname(fd, (struct sockaddr *)&address, &size);
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    /* All of it was zeroed. NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage) */
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

void vic_listen_address(int fd, char text[VIC_ADDRESS_SIZE])
{
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof(address);
    char host[INET6_ADDRSTRLEN] = "";

    getsockname(fd, (struct sockaddr *)&address, &size);
    if (address.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&address)->sin6_addr, host,
                  sizeof(host));
        snprintf(text, VIC_ADDRESS_SIZE, "[%s]:%u", host, vic_listen_port(fd));
    } else {
        inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, host,
                  sizeof(host));
        snprintf(text, VIC_ADDRESS_SIZE, "%s:%u", host, vic_listen_port(fd));
    }
}
