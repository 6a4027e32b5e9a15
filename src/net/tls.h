/*
 * tls: how a curl handle verifies who it talks to, and what it met.
 *
 * One of four ways: the system's CAs, a CA given as PEM (then that one alone),
 * the leaf's thumbprint (then nothing else counts: no CA, no name), or learn
 * (anybody is accepted, and the peer says whether the system's CAs trust it).
 * The decision falls in the handshake: before it no byte of a request is sent.
 *
 * A vic_tls may be used by one thread at a time. It outlives every handle,
 * multi and connection that it was applied to. curl does not tell connections
 * apart by what is decided here: handles that share connections share one vic_tls.
 */
#ifndef VIC_TLS_H
#define VIC_TLS_H

#include "error.h"

#include <curl/curl.h>

#include <stdbool.h>

struct vic_tls;

struct vic_tls_opts {
    const char *ca;         /* PEM, one certificate or more; NULL or "": the system's */
    const char *thumbprint; /* SHA-256 or SHA-1 of the leaf in hex; wins over `ca` */
    bool learn;             /* with neither of them: accept whoever answers */
    const char *ca_field; /* for messages: where a CA, and a thumbprint, may be given: */
    const char *thumbprint_field; /* "caCert in the Secret"; NULL: nowhere */
};

/* A certificate that a server showed, also one that was refused. */
struct vic_tls_peer {
    char sha256[96]; /* "AA:BB:..." of the leaf */
    char sha1[60];
    char issuer[256]; /* RFC 2253, ASCII */
    char subject[256];
    char reason[600]; /* why it is not trusted and what to do; "" if it is */
    bool trusted;     /* by CA and name, or by the thumbprint */
};

/* Copies what it needs of `opts`. NULL (kind invalid) if the CA is no PEM or the
 * thumbprint no fingerprint. */
struct vic_tls *vic_tls_new(const struct vic_tls_opts *opts, struct vic_error *err);
void vic_tls_free(struct vic_tls *tls);

/* Sets every option of `curl` that concerns verification. */
int vic_tls_apply(struct vic_tls *tls, CURL *curl, struct vic_error *err);

/* What the server of `url` showed in its last handshake, so that a reused
 * connection has it too; NULL if none was seen. Valid until the next transfer. */
const struct vic_tls_peer *vic_tls_peer(const struct vic_tls *tls, const char *url);

/* Whether a handshake with the server of `url` has begun in the last `within` seconds. */
bool vic_tls_began(const struct vic_tls *tls, const char *url, double within);

/* Fills `err` (kind tls) for a transfer of `url` that curl ended with a TLS error:
 * "WHAT: the certificate is for localhost, not for 10.0.0.1; ..."; `detail` is curl's
 * own text, used where no certificate was refused. Kind connect if the handshake only
 * broke off. Always -1. */
int vic_tls_error(const struct vic_tls *tls, const char *what, const char *url,
                  const char *detail, struct vic_error *err);

/* Whether curl ended because of TLS. */
bool vic_tls_failed(CURLcode code);

#endif
