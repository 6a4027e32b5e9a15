/*
 * refusal: why TLS refused, and what cures it, as one line that names the fields. Any
 * thread. Decides nothing: whether a certificate is believed is settled before (tls.c).
 */
#ifndef VIC_REFUSAL_H
#define VIC_REFUSAL_H

#include <openssl/x509.h>

#include <stddef.h>

/* Who asked, and where what he demands stands. */
struct vic_refusal {
    const char *host;     /* that was asked for */
    X509_STORE *given;    /* of the CA that was given; NULL: the system's counted */
    const char *ca_field; /* where a CA can be given; "": nowhere */
    const char *thumbprint_field; /* where a thumbprint can; "": nowhere */
};

/* Of a certificate that X509_verify_cert refused, `ctx` as that left it: "the
 * certificate is for localhost, not for 10.0.0.1; use a name that it has, or ...". All
 * that is wrong with it is said. */
void vic_refusal_certificate(const struct vic_refusal *refusal, X509_STORE_CTX *ctx,
                             char *text, size_t size);

/* Of one that has another fingerprint than the one demanded. */
void vic_refusal_thumbprint(const struct vic_refusal *refusal, X509 *cert, char *text,
                            size_t size);

#endif
