/*
 * digest: a sink that computes checksums of what passes through it.
 */
#ifndef VIC_DIGEST_H
#define VIC_DIGEST_H

#include "sink.h"

#include <stdint.h>

#define VIC_DIGEST_HEX 129 /* the longest in hex, and its NUL */

enum vic_algorithm { VIC_SHA1, VIC_SHA256, VIC_SHA512, VIC_MD5, VIC_ALGORITHMS };

struct vic_digest;

/* "sha1", "sha256", "sha512", and "md5": against accidents alone, for those who have no
 * other. */
const char *vic_algorithm_name(enum vic_algorithm algorithm);

/* The algorithm of that name, VIC_ALGORITHMS if there is none. */
enum vic_algorithm vic_algorithm_of(const char *name);

/* Computes each algorithm whose bit (1u << VIC_SHA1 ...) is set, and passes all on
 * to `next`, if there is one. */
struct vic_digest *vic_digest_new(unsigned algorithms, struct vic_sink *next);
void vic_digest_free(struct vic_digest *digest);

struct vic_sink *vic_digest_sink(struct vic_digest *digest);

/* Lower-case hex of what passed until end(); "" if it was not asked for. */
const char *vic_digest_hex(const struct vic_digest *digest, enum vic_algorithm algorithm);

#endif
