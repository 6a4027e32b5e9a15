/*
 * handshake: see handshake.h. Source: OpenSSL's SSL_R_*.
 */
#include "handshake.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK   "error:"
#define DIGITS 8

/* The reason in curl's "TLS connect error: error:0A00010B:SSL routines::...", or 0. Versions
 * of curl begin their texts differently: the number is told by its form. */
static int reason_of(const char *detail)
{
    const char *at = detail;

    while ((at = strstr(at, MARK))) {
        at += strlen(MARK);
        if (strspn(at, "0123456789ABCDEFabcdef") == DIGITS && at[DIGITS] == ':')
            return ERR_GET_REASON(strtoul(at, NULL, 16));
    }
    return 0;
}

bool vic_handshake_broke(const char *detail)
{
    return strstr(detail, "SSL_ERROR_SYSCALL") || strstr(detail, "SSL_ERROR_ZERO") ||
           strstr(detail, "Send failure:") || strstr(detail, "Recv failure:") ||
           reason_of(detail) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

/* clang-format off */
#define NO_TLS "no TLS is spoken at this port (plain HTTP?); give the port of https"
#define OLD    "the server speaks no TLS of version 1.2 or later; enable it there"
#define NONE   "the server has no cipher in common with us, or wants a client certificate"
#define OURS   "the server refuses our client certificate, or wants one; correct it"
/* clang-format on */

static const struct {
    int reason;
    const char *text;
} known[] = {
    { SSL_R_WRONG_VERSION_NUMBER, NO_TLS },
    { SSL_R_PACKET_LENGTH_TOO_LONG, NO_TLS },
    { SSL_R_HTTP_REQUEST, NO_TLS },
    { SSL_R_UNSUPPORTED_PROTOCOL, OLD },
    { SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, OLD },
    { SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, NONE },
    { SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY, NONE },
    { SSL_R_DH_KEY_TOO_SMALL, NONE },
    { SSL_R_TLSV1_UNRECOGNIZED_NAME,
      "the server knows no site of this name; use a name that it has" },
    { SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, OURS },
    { SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, OURS },
    { SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, OURS },
    { SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, OURS },
    { SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, OURS },
    { SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, OURS },
    { SSL_R_TLSV1_ALERT_UNKNOWN_CA, OURS },
    { SSL_R_TLSV1_ALERT_ACCESS_DENIED, OURS },
};

static const char *known_text(const char *detail)
{
    int reason = reason_of(detail);
    size_t i;

    for (i = 0; reason && i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].reason == reason)
            return known[i].text;
    return NULL;
}

bool vic_handshake_knows(const char *detail)
{
    return known_text(detail) != NULL;
}

void vic_handshake_refused(const char *detail, char *text, size_t size)
{
    const char *words = known_text(detail);

    if (words)
        snprintf(text, size, "%s (%s)", words, detail);
    else
        snprintf(text, size, "TLS failed: %s", detail);
}
