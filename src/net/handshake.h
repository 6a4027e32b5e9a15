/*
 * handshake: why TLS ended before a certificate was judged. Any thread.
 */
#ifndef VIC_HANDSHAKE_H
#define VIC_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

/* Why the handshake failed and what cures that, as one line; `detail` is curl's text. */
void vic_handshake_refused(const char *detail, char *text, size_t size);

/* Whether `detail` tells a reason of TLS: also what is told after the handshake. */
bool vic_handshake_knows(const char *detail);

/* Whether it only broke off: a matter of the connection, which may pass. */
bool vic_handshake_broke(const char *detail);

#endif
