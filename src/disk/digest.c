/*
 * digest: OpenSSL's digests as a sink.
 */
#include "digest.h"

#include "alloc.h"

#include <openssl/evp.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vic_digest {
    struct vic_sink sink;
    struct vic_sink *next;
    EVP_MD_CTX *state[VIC_ALGORITHMS]; /* NULL: not asked for */
    char hex[VIC_ALGORITHMS][VIC_DIGEST_HEX];
};

static const char *const NAMES[VIC_ALGORITHMS] = { "sha1", "sha256", "sha512", "md5" };

const char *vic_algorithm_name(enum vic_algorithm algorithm)
{
    return NAMES[algorithm];
}

enum vic_algorithm vic_algorithm_of(const char *name)
{
    unsigned i;

    for (i = 0; i < VIC_ALGORITHMS && strcmp(name, NAMES[i]) != 0; i++)
        ;
    return (enum vic_algorithm)i;
}

static int digest_write(struct vic_sink *sink, const void *data, size_t size,
                        struct vic_error *err)
{
    struct vic_digest *d = (struct vic_digest *)sink;
    unsigned i;

    for (i = 0; i < VIC_ALGORITHMS; i++)
        if (d->state[i] && EVP_DigestUpdate(d->state[i], data, size) != 1)
            return vic_error_set(err, VIC_INTERNAL, "%s failed", NAMES[i]);
    return d->next ? d->next->write(d->next, data, size, err) : 0;
}

static int digest_end(struct vic_sink *sink, struct vic_error *err)
{
    struct vic_digest *d = (struct vic_digest *)sink;
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned i;

    for (i = 0; i < VIC_ALGORITHMS; i++) {
        unsigned size = 0;
        unsigned k;

        if (!d->state[i])
            continue;
        if (EVP_DigestFinal_ex(d->state[i], sum, &size) != 1)
            return vic_error_set(err, VIC_INTERNAL, "%s failed", NAMES[i]);
        for (k = 0; k < size; k++)
            snprintf(d->hex[i] + 2 * k, 3, "%02x", sum[k]);
    }
    return d->next ? d->next->end(d->next, err) : 0;
}

struct vic_digest *vic_digest_new(unsigned algorithms, struct vic_sink *next)
{
    const EVP_MD *const md[VIC_ALGORITHMS] = { EVP_sha1(), EVP_sha256(), EVP_sha512(),
                                               EVP_md5() };
    struct vic_digest *d = vic_alloc(sizeof(*d));
    unsigned i;

    d->sink.write = digest_write;
    d->sink.end = digest_end;
    d->next = next;
    for (i = 0; i < VIC_ALGORITHMS; i++) {
        if (!(algorithms & 1u << i))
            continue;
        d->state[i] = EVP_MD_CTX_new();
        if (!d->state[i] || EVP_DigestInit_ex(d->state[i], md[i], NULL) != 1)
            abort();
    }
    return d;
}

void vic_digest_free(struct vic_digest *d)
{
    unsigned i;

    if (!d)
        return;
    for (i = 0; i < VIC_ALGORITHMS; i++)
        EVP_MD_CTX_free(d->state[i]);
    free(d);
}

struct vic_sink *vic_digest_sink(struct vic_digest *d)
{
    return &d->sink;
}

const char *vic_digest_hex(const struct vic_digest *d, enum vic_algorithm algorithm)
{
    return d->hex[algorithm];
}
