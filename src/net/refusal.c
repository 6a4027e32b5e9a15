/*
 * refusal: see refusal.h. Source: RFC 5280 (validation), OpenSSL's X509_V_ERR_*.
 */
#include "refusal.h"

#include "certificate.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* In the order in which they are said. */
enum flaw { NAME, NOT_YET, EXPIRED, PURPOSE, UNKNOWN, WEAK, REVOKED, OTHER, FLAWS };

struct found {
    int error[FLAWS]; /* X509_V_ERR_*; 0: it has not this flaw */
    int depth[FLAWS]; /* 0: the server's own, else a CA above it */
    X509 *cert[FLAWS];
};

struct words {
    char *text;
    size_t size;
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void say(struct words *words,
                                                      const char *fmt, ...)
{
    size_t room = words->size - words->used;
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(words->text + words->used, room, fmt, ap);
    va_end(ap);
    if (len > 0)
        words->used += (size_t)len < room ? (size_t)len : room - 1;
}

static enum flaw flaw_of(int error)
{
    switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return NAME;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return NOT_YET;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return EXPIRED;
    case X509_V_ERR_INVALID_PURPOSE:
    case X509_V_ERR_CERT_REJECTED:
        return PURPOSE;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_CERT_UNTRUSTED:
        return UNKNOWN;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK:
        return WEAK;
    case X509_V_ERR_CERT_REVOKED:
        return REVOKED;
    default:
        return OTHER;
    }
}

/* Goes on whatever is wrong, so that all of it is found. */
static int note(int ok, X509_STORE_CTX *ctx)
{
    struct found *found = X509_STORE_CTX_get_app_data(ctx);
    int error = X509_STORE_CTX_get_error(ctx);
    enum flaw flaw = flaw_of(error);

    if (ok || found->error[flaw])
        return 1;
    found->error[flaw] = error;
    found->depth[flaw] = X509_STORE_CTX_get_error_depth(ctx);
    found->cert[flaw] = X509_STORE_CTX_get_current_cert(ctx);
    if (!found->cert[flaw])
        found->cert[flaw] = X509_STORE_CTX_get0_cert(ctx);
    X509_up_ref(found->cert[flaw]);
    return 1;
}

/* Verifies once more, by the same rules, past the first flaw. */
static void refusal_look(X509_STORE_CTX *refused, X509_STORE *store, struct found *found)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();

    if (ctx &&
        X509_STORE_CTX_init(ctx, store, X509_STORE_CTX_get0_cert(refused),
                            X509_STORE_CTX_get0_untrusted(refused)) == 1 &&
        X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(ctx),
                               X509_STORE_CTX_get0_param(refused)) == 1) {
        X509_STORE_CTX_set_app_data(ctx, found);
        X509_STORE_CTX_set_verify_cb(ctx, note);
        X509_verify_cert(ctx);
    }
    X509_STORE_CTX_free(ctx);
    ERR_clear_error();
}

static void say_time(struct words *words, const ASN1_TIME *time)
{
    char text[32];
    char here[32];
    ASN1_TIME *now = X509_gmtime_adj(NULL, 0);

    vic_certificate_time(time, text, sizeof(text));
    vic_certificate_time(now, here, sizeof(here));
    ASN1_TIME_free(now);
    say(words, " %s (here it is %s)", text, here);
}

/* Whether a CA of that name was given; that it is not the one is known by then. */
static bool is_given(X509_STORE *given, const X509_NAME *name)
{
    STACK_OF(X509) *all = X509_STORE_get1_all_certs(given);
    bool same = false;
    int i;

    for (i = 0; i < sk_X509_num(all); i++)
        if (X509_NAME_cmp(X509_get_subject_name(sk_X509_value(all, i)), name) == 0)
            same = true;
    sk_X509_pop_free(all, X509_free);
    return same;
}

static void say_given(struct words *words, X509_STORE *given)
{
    STACK_OF(X509) *all = X509_STORE_get1_all_certs(given);
    char name[128] = "";

    if (sk_X509_num(all) > 0)
        vic_certificate_name(X509_get_subject_name(sk_X509_value(all, 0)), name,
                             sizeof(name));
    say(words, " (it holds %s%s)", name, sk_X509_num(all) > 1 ? " and others" : "");
    sk_X509_pop_free(all, X509_free);
}

static bool is_self_signed(int error)
{
    return error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
           error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
}

/* The name that is not known: of a self-signed one its own, else its issuer's. */
static const X509_NAME *unknown_name(const struct found *found)
{
    return is_self_signed(found->error[UNKNOWN])
               ? X509_get_subject_name(found->cert[UNKNOWN])
               : X509_get_issuer_name(found->cert[UNKNOWN]);
}

static const char *ca_field_of(const struct vic_refusal *refusal)
{
    return refusal->ca_field[0] ? refusal->ca_field : "the given CA";
}

static void say_unknown(struct words *words, const struct vic_refusal *refusal,
                        const struct found *found)
{
    const X509_NAME *name = unknown_name(found);
    char text[160];

    vic_certificate_name(name, text, sizeof(text));
    if (found->error[UNKNOWN] == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT)
        say(words, "is self-signed");
    else
        say(words, "is signed by an unknown CA (%s)", text);
    if (!refusal->given) {
        return;
    } else if (is_given(refusal->given, name)) {
        say(words, ", and the one of that name in %s has another key",
            ca_field_of(refusal));
    } else {
        say(words, ", which is not in %s", ca_field_of(refusal));
        say_given(words, refusal->given);
    }
}

static void say_weak(struct words *words, const struct found *found)
{
    EVP_PKEY *key = X509_get0_pubkey(found->cert[WEAK]);

    if (found->error[WEAK] == X509_V_ERR_CA_MD_TOO_WEAK)
        say(words, "is signed with %s, which is too weak",
            OBJ_nid2sn(X509_get_signature_nid(found->cert[WEAK])));
    else
        say(words, "has a key of %d bits, which is too weak",
            key ? EVP_PKEY_get_bits(key) : 0);
}

static void say_flaw(struct words *words, const struct vic_refusal *refusal,
                     const struct found *found, enum flaw flaw)
{
    X509 *cert = found->cert[flaw];
    char text[256];

    if (found->depth[flaw] > 0 && flaw != UNKNOWN) {
        vic_certificate_name(X509_get_subject_name(cert), text, 160);
        say(words, "is signed by %s, whose certificate ", text);
    }
    switch (flaw) {
    case NAME:
        vic_certificate_hosts(cert, text, sizeof(text));
        say(words, "is for %s, not for %s", text, refusal->host);
        break;
    case NOT_YET:
        say(words, "is valid only from");
        say_time(words, X509_get0_notBefore(cert));
        break;
    case EXPIRED:
        say(words, "has expired at");
        say_time(words, X509_get0_notAfter(cert));
        break;
    case PURPOSE:
        say(words, "is not one for TLS servers (by its key usage)");
        break;
    case UNKNOWN:
        say_unknown(words, refusal, found);
        break;
    case WEAK:
        say_weak(words, found);
        break;
    case REVOKED:
        say(words, "has been revoked");
        break;
    default:
        say(words, "is not acceptable (%s)",
            X509_verify_cert_error_string(found->error[flaw]));
    }
}

static void say_unknown_cure(struct words *words, const struct vic_refusal *refusal,
                             const struct found *found)
{
    char name[160];
    bool itself = found->error[UNKNOWN] == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT;

    vic_certificate_name(unknown_name(found), name, sizeof(name));
    if (refusal->ca_field[0] && itself)
        say(words, "put it into %s", refusal->ca_field);
    else if (refusal->ca_field[0])
        say(words, "put the certificate of that CA into %s", refusal->ca_field);
    else
        say(words, "make %s known to this system", itself ? "it" : "that CA");
    if (!is_self_signed(found->error[UNKNOWN]) && found->depth[UNKNOWN] == 0)
        say(words, ", or let the server send all certificates of its chain");
}

static void say_cure(struct words *words, const struct vic_refusal *refusal,
                     const struct found *found, enum flaw flaw)
{
    static const char *const cures[FLAWS] = {
        [NAME] = "use a name that it has",
        [NOT_YET] = "set the clock of the server, or of this machine, right",
        [EXPIRED] = "renew it",
        [PURPOSE] = "give the server one with the extended key usage serverAuth",
        [WEAK] = "give the server a new one (RSA of 2048 bits or more, SHA-256)",
        [REVOKED] = "give the server a new one",
        [OTHER] = "give the server a sound one",
    };

    if (flaw == UNKNOWN)
        say_unknown_cure(words, refusal, found);
    else
        say(words, "%s", cures[flaw]);
}

static void say_who(struct words *words, X509 *cert)
{
    char issuer[160];
    char sum[96];

    vic_certificate_name(X509_get_issuer_name(cert), issuer, sizeof(issuer));
    vic_certificate_fingerprint(cert, EVP_sha256(), sum, sizeof(sum));
    say(words, " (issuer %s, SHA-256 fingerprint %s)", issuer, sum);
}

/* The flaws, then the cure of each, then the one field that makes up for all of them. */
static void say_all(struct words *words, const struct vic_refusal *refusal,
                    const struct found *found)
{
    const char *between = "the certificate ";
    int flaw;

    for (flaw = 0; flaw < FLAWS; flaw++)
        if (found->error[flaw]) {
            say(words, "%s", between);
            say_flaw(words, refusal, found, flaw);
            between = ", and it ";
        }
    between = "; ";
    for (flaw = 0; flaw < FLAWS; flaw++)
        if (found->error[flaw]) {
            say(words, "%s", between);
            say_cure(words, refusal, found, flaw);
            between = ", and ";
        }
    if (refusal->thumbprint_field[0])
        say(words, ", or set %s to its fingerprint", refusal->thumbprint_field);
}

void vic_refusal_certificate(const struct vic_refusal *refusal, X509_STORE_CTX *ctx,
                             char *text, size_t size)
{
    struct words words = { text, size, 0 };
    struct found found = { 0 };
    X509 *cert = X509_STORE_CTX_get0_cert(ctx);
    int error = X509_STORE_CTX_get_error(ctx);
    enum flaw first = flaw_of(error);
    int flaw;

    refusal_look(ctx, X509_STORE_CTX_get0_store(ctx), &found);
    if (!found.error[first]) {
        found.error[first] = error;
        found.cert[first] = cert;
        X509_up_ref(cert);
    }
    say_all(&words, refusal, &found);
    say_who(&words, cert);
    for (flaw = 0; flaw < FLAWS; flaw++)
        X509_free(found.cert[flaw]);
}

void vic_refusal_thumbprint(const struct vic_refusal *refusal, X509 *cert, char *text,
                            size_t size)
{
    struct words words = { text, size, 0 };
    const char *field = refusal->thumbprint_field;

    say(&words, "the certificate is not the one of %s; correct that if this one is right",
        field[0] ? field : "the given thumbprint");
    say_who(&words, cert);
}
