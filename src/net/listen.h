/*
 * listen: a socket that others connect to. Any thread.
 */
#ifndef VIC_LISTEN_H
#define VIC_LISTEN_H

#include <stdint.h>

struct vic_error;

/* Room for "[address]:port" and its end. */
#define VIC_ADDRESS_SIZE 64

/* A TCP socket, non-blocking, that listens on `host`, a numeric address (NULL: all of
 * them, IPv6 too where there is any), and `port` (0: any free one). -1: *err says why. */
int vic_listen(const char *host, uint16_t port, struct vic_error *err);

uint16_t vic_listen_port(int fd);

/* Writes "127.0.0.1:8080" or "[::1]:8080", as it stands in a URL. */
void vic_listen_address(int fd, char text[VIC_ADDRESS_SIZE]);

#endif
