/*
 * Certificates made on the spot, so that none has to be kept, or expires.
 */
#include "httpd.h"

#include <lauxlib.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <string.h>

static void name_set(X509_NAME *name, const char *text)
{
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)text, -1,
                               -1, 0);
}

static void extension_add(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

static const char *option(lua_State *L, const char *name, const char *otherwise)
{
    const char *text;

    lua_getfield(L, 1, name);
    text = luaL_optstring(L, -1, otherwise);
    return text; /* stays on the stack */
}

static void push_bio(lua_State *L, BIO *bio)
{
    char *data;
    long size = BIO_get_mem_data(bio, &data);

    lua_pushlstring(L, data, (size_t)size);
    BIO_free(bio);
}

static lua_Integer number(lua_State *L, const char *name, lua_Integer otherwise)
{
    lua_Integer value;

    lua_getfield(L, 1, name);
    value = luaL_optinteger(L, -1, otherwise);
    lua_pop(L, 1);
    return value;
}

static EVP_PKEY *key_new(lua_State *L)
{
    lua_Integer bits;

    luaL_checktype(L, 1, LUA_TTABLE);
    bits = number(L, "bits", 0);
    return bits ? EVP_RSA_gen((unsigned)bits) : EVP_EC_gen("P-256");
}

/*
 * httpd.certificate(opts) -> cert, key (PEM)
 *
 *   opts.name    string  the subject's CN                        (default "test")
 *   opts.alt     string  e.g. "IP:127.0.0.1,DNS:localhost"        (default: none)
 *   opts.days    int     valid until then; negative: no more     (default 1)
 *   opts.from    int     days from now: valid from then on        (default -10)
 *   opts.ca      bool    may sign others
 *   opts.usage   string  the extended key usage: "clientAuth"     (default: none)
 *   opts.bits    int     an RSA key of that size                  (default: P-256)
 *   opts.digest  string  what it is signed with                   (default "SHA256")
 *   opts.issuer, opts.issuer_key  PEM  who signs                 (default: itself)
 */
int l_certificate(lua_State *L)
{
    EVP_PKEY *key = key_new(L);
    X509 *cert = X509_new();
    BIO *cert_bio = BIO_new(BIO_s_mem());
    BIO *key_bio = BIO_new(BIO_s_mem());
    const char *issuer_pem, *issuer_key_pem, *alt, *usage;
    X509 *issuer = NULL;
    EVP_PKEY *issuer_key = NULL;

    usage = option(L, "usage", NULL);
    alt = option(L, "alt", NULL);
    issuer_pem = option(L, "issuer", NULL);
    issuer_key_pem = option(L, "issuer_key", NULL);

    X509_set_version(cert, 2);
    ASN1_INTEGER_set_int64(X509_get_serialNumber(cert), (int64_t)(uintptr_t)cert);
    X509_gmtime_adj(X509_getm_notBefore(cert), (long)number(L, "from", -10) * 86400);
    X509_gmtime_adj(X509_getm_notAfter(cert), (long)number(L, "days", 1) * 86400);
    X509_set_pubkey(cert, key);
    name_set(X509_get_subject_name(cert), option(L, "name", "test"));
    lua_getfield(L, 1, "ca");
    if (lua_toboolean(L, -1))
        extension_add(cert, NID_basic_constraints, "critical,CA:TRUE");
    if (alt)
        extension_add(cert, NID_subject_alt_name, alt);
    if (usage)
        extension_add(cert, NID_ext_key_usage, usage);
    if (issuer_pem) {
        BIO *bio = BIO_new_mem_buf(issuer_pem, -1);

        issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        BIO_free(bio);
        bio = BIO_new_mem_buf(issuer_key_pem, -1);
        issuer_key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        BIO_free(bio);
    }
    X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert));
    X509_sign(cert, issuer_key ? issuer_key : key,
              EVP_get_digestbyname(option(L, "digest", "SHA256")));

    PEM_write_bio_X509(cert_bio, cert);
    PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL);
    X509_free(issuer);
    EVP_PKEY_free(issuer_key);
    X509_free(cert);
    EVP_PKEY_free(key);
    push_bio(L, cert_bio);
    push_bio(L, key_bio);
    return 2;
}
