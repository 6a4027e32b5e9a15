/*
 * certificate: what a certificate says of itself, as text that can be shown. Any thread.
 *
 * A certificate comes from whoever answers: what is no printable ASCII in it is
 * escaped or replaced, and each text is cut to its buffer.
 */
#ifndef VIC_CERTIFICATE_H
#define VIC_CERTIFICATE_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <stddef.h>

/* "AA:BB:..." of the whole certificate; "" if that digest is not to be had. */
void vic_certificate_fingerprint(const X509 *cert, const EVP_MD *md, char *text,
                                 size_t size);

/* "CN=vc.example,O=..." as RFC 2253 has it. */
void vic_certificate_name(const X509_NAME *name, char *text, size_t size);

/* The hosts that it is for: "vc.example, 10.0.0.1"; "no host" if it names none. */
void vic_certificate_hosts(X509 *cert, char *text, size_t size);

/* "2026-11-30 06:51 UTC"; "" if it is no time. */
void vic_certificate_time(const ASN1_TIME *time, char *text, size_t size);

#endif
