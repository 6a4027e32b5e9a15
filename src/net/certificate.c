/*
 * certificate: see certificate.h. Source: RFC 5280 (section 4.2.1.6: names), RFC 6125.
 */
#include "certificate.h"

#include <openssl/bio.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MOST_HOSTS 6 /* in a message */

void vic_certificate_fingerprint(const X509 *cert, const EVP_MD *md, char *text,
                                 size_t size)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    unsigned i;

    text[0] = '\0';
    if (X509_digest(cert, md, sum, &len) != 1)
        return;
    for (i = 0; i < len && 3 * i + 3 <= size; i++)
        snprintf(text + 3 * i, size - 3 * i, i + 1 < len ? "%02X:" : "%02X", sum[i]);
}

void vic_certificate_name(const X509_NAME *name, char *text, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int len = 0;

    if (bio && name && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
        len = BIO_read(bio, text, (int)size - 1);
    text[len > 0 ? len : 0] = '\0';
    BIO_free(bio);
}

static void host_add(char *text, size_t size, const unsigned char *name, size_t len)
{
    size_t used = strlen(text);
    size_t i;

    if (used + len + 3 > size)
        return;
    if (used) {
        memcpy(text + used, ", ", 2);
        used += 2;
    }
    for (i = 0; i < len; i++)
        text[used + i] = name[i] > ' ' && name[i] < 0x7f ? (char)name[i] : '?';
    text[used + len] = '\0';
}

static void host_add_alternative(char *text, size_t size, const GENERAL_NAME *name)
{
    char address[INET6_ADDRSTRLEN] = "";
    const ASN1_STRING *value;
    const unsigned char *bytes;
    int len;

    if (name->type != GEN_DNS && name->type != GEN_IPADD)
        return;
    value = name->d.ip; /* of the same type for both */
    bytes = ASN1_STRING_get0_data(value);
    len = ASN1_STRING_length(value);
    if (name->type == GEN_DNS) {
        host_add(text, size, bytes, (size_t)len);
    } else if (len == 4 || len == 16) {
        inet_ntop(len == 4 ? AF_INET : AF_INET6, bytes, address, sizeof(address));
        host_add(text, size, (const unsigned char *)address, strlen(address));
    }
}

/* Without names of hosts in the extension the common name counts. */
static void host_add_common(char *text, size_t size, X509 *cert)
{
    unsigned char name[256];
    int len = X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName,
                                        (char *)name, sizeof(name));

    if (len > 0)
        host_add(text, size, name, (size_t)len);
}

void vic_certificate_hosts(X509 *cert, char *text, size_t size)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int count = sk_GENERAL_NAME_num(names);
    int i;

    text[0] = '\0';
    for (i = 0; i < count && i < MOST_HOSTS; i++)
        host_add_alternative(text, size, sk_GENERAL_NAME_value(names, i));
    if (count > MOST_HOSTS)
        host_add(text, size, (const unsigned char *)"...", 3);
    if (!text[0])
        host_add_common(text, size, cert);
    if (!text[0])
        snprintf(text, size, "no host");
    GENERAL_NAMES_free(names);
}

void vic_certificate_time(const ASN1_TIME *time, char *text, size_t size)
{
    struct tm tm;

    text[0] = '\0';
    if (ASN1_TIME_to_tm(time, &tm) == 1)
        strftime(text, size, "%Y-%m-%d %H:%M UTC", &tm);
}
