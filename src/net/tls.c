/*
 * tls: OpenSSL's verification in place of curl's, because libcurl cannot pin a
 * leaf by SHA-1 (its pins are SHA-256 of the key) nor say what it refused.
 */
#include "tls.h"

#include "alloc.h"
#include "certificate.h"
#include "handshake.h"
#include "refusal.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SERVERS 16 /* remembered peers; the one met longest ago makes room */

/* A server and what it showed. Given to OpenSSL as the callback's argument. */
struct server {
    struct vic_tls *tls;
    char address[300]; /* "host:port" as in the URL; "" if free */
    char host[256];    /* alone, as certificates have it */
    struct vic_tls_peer peer;
    bool seen;
    time_t began; /* CLOCK_MONOTONIC, seconds: its last handshake; 0: none */
};

struct vic_tls {
    X509_STORE *store; /* of the given CA; NULL: a thumbprint decides, or the system's */
    unsigned char pin[32];
    unsigned pin_size; /* 32, 20, or 0 for none */
    bool learn;
    char ca_field[120]; /* for messages; "": there is none */
    char thumbprint_field[120];
    unsigned next;
    struct server servers[SERVERS];
};

/* The system's CAs, read once for the whole process and only when a handshake needs
 * them: 140 certificates cost 10 ms and 2 MiB. */
static X509_STORE *system_store;

static void system_store_load(void)
{
    system_store = X509_STORE_new();
    /* No CAs installed: every peer is simply not trusted, and the error says so. */
    if (system_store && X509_STORE_set_default_paths(system_store) != 1)
        ERR_clear_error();
}

static X509_STORE *store_of_system(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, system_store_load);
    return system_store;
}

/* A store of the PEM's certificates; NULL if there is none or one is broken. */
static X509_STORE *store_of_pem(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509_STORE *store = X509_STORE_new();
    X509 *cert;
    int count = 0;
    bool sound;

    while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        count += X509_STORE_add_cert(store, cert);
        X509_free(cert);
    }
    sound = count > 0 && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    BIO_free(bio);
    if (!sound) {
        X509_STORE_free(store);
        return NULL;
    }
    return store;
}

/* Reads hex digits, colons between them allowed; the number of bytes, or 0. */
static unsigned pin_parse(const char *text, unsigned char pin[32])
{
    unsigned digits = 0;

    for (; *text; text++) {
        int value;

        if (*text == ':' || isspace((unsigned char)*text))
            continue;
        if (!isxdigit((unsigned char)*text) || digits == 64)
            return 0;
        value = isdigit((unsigned char)*text) ? *text - '0'
                                              : tolower((unsigned char)*text) - 'a' + 10;
        if (digits % 2 == 0)
            pin[digits / 2] = (unsigned char)(value << 4);
        else
            pin[digits / 2] |= (unsigned char)value;
        digits++;
    }
    return digits == 64 ? 32 : digits == 40 ? 20 : 0;
}

static void peer_read(struct vic_tls_peer *peer, const X509 *cert)
{
    memset(peer, 0, sizeof(*peer));
    vic_certificate_fingerprint(cert, EVP_sha256(), peer->sha256, sizeof(peer->sha256));
    vic_certificate_fingerprint(cert, EVP_sha1(), peer->sha1, sizeof(peer->sha1));
    vic_certificate_name(X509_get_issuer_name(cert), peer->issuer, sizeof(peer->issuer));
    vic_certificate_name(X509_get_subject_name(cert), peer->subject,
                         sizeof(peer->subject));
}

static bool pin_matches(const struct vic_tls *tls, const X509 *cert)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    return X509_digest(cert, tls->pin_size == 20 ? EVP_sha1() : EVP_sha256(), sum,
                       &len) &&
           len == tls->pin_size && memcmp(sum, tls->pin, len) == 0;
}

static void peer_refuse(const struct server *server, X509_STORE_CTX *ctx, char *text,
                        size_t size)
{
    const struct vic_tls *tls = server->tls;
    struct vic_refusal refusal = {
        .host = server->host,
        .given = tls->store,
        .ca_field = tls->ca_field,
        .thumbprint_field = tls->thumbprint_field,
    };

    if (tls->pin_size)
        vic_refusal_thumbprint(&refusal, X509_STORE_CTX_get0_cert(ctx), text, size);
    else
        vic_refusal_certificate(&refusal, ctx, text, size);
}

/* In the handshake. Returns 1 to go on; 0 ends it before a request is sent. */
static int verify(X509_STORE_CTX *ctx, void *arg)
{
    struct server *server = arg;
    struct vic_tls_peer *peer = &server->peer;
    X509 *cert = X509_STORE_CTX_get0_cert(ctx);

    if (!cert)
        return 0;
    peer_read(peer, cert);
    server->seen = true;

    peer->trusted = server->tls->pin_size ? pin_matches(server->tls, cert)
                                          : X509_verify_cert(ctx) == 1;
    if (!peer->trusted)
        peer_refuse(server, ctx, peer->reason, sizeof(peer->reason));
    if (!peer->trusted && !server->tls->learn) {
        if (X509_STORE_CTX_get_error(ctx) == X509_V_OK)
            X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    }
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    return 1;
}

/* The host of `url` without brackets, zone and final dot, and "host:port". */
static int url_split(const char *url, char host[256], char address[300])
{
    CURLU *parts = curl_url();
    char *name = NULL;
    char *port = NULL;
    int result = -1;
    size_t len;

    if (!url || !parts || curl_url_set(parts, CURLUPART_URL, url, 0) ||
        curl_url_get(parts, CURLUPART_HOST, &name, 0) ||
        curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT))
        goto out;
    snprintf(address, 300, "%.280s:%s", name, port);
    len = strcspn(name + (name[0] == '['), "]%");
    if (len >= 256)
        goto out;
    memcpy(host, name + (name[0] == '['), len);
    host[len] = '\0';
    if (len > 1 && host[len - 1] == '.')
        host[len - 1] = '\0';
    result = 0;
out:
    curl_free(name);
    curl_free(port);
    curl_url_cleanup(parts);
    return result;
}

static struct server *server_find(const struct vic_tls *tls, const char *address)
{
    unsigned i;

    for (i = 0; i < SERVERS; i++)
        if (strcmp(tls->servers[i].address, address) == 0)
            return (struct server *)&tls->servers[i];
    return NULL;
}

static struct server *server_of(struct vic_tls *tls, const char *address,
                                const char *host)
{
    struct server *server = server_find(tls, address);

    if (server)
        return server;
    server = &tls->servers[tls->next++ % SERVERS];
    memset(server, 0, sizeof(*server));
    server->tls = tls;
    snprintf(server->address, sizeof(server->address), "%s", address);
    snprintf(server->host, sizeof(server->host), "%s", host);
    return server;
}

static time_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1; /* never 0 */
}

/* TCP stands, TLS begins: on the thread that runs the handle. */
static CURLcode on_ssl_ctx(CURL *curl, void *ssl_ctx, void *arg)
{
    struct vic_tls *tls = arg;
    struct server *server;
    SSL_CTX *ctx = ssl_ctx;
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
    const char *url = NULL;
    char host[256];
    char address[300];
    unsigned char ip[16];

    if (curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &url) ||
        url_split(url, host, address))
        return CURLE_SSL_CONNECT_ERROR;
    if (!tls->pin_size) {
        X509_STORE *store = tls->store ? tls->store : store_of_system();

        if (!store)
            return CURLE_SSL_CONNECT_ERROR;
        SSL_CTX_set1_cert_store(ctx, store);
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        if (inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1
                ? X509_VERIFY_PARAM_set1_ip_asc(param, host) != 1
                : X509_VERIFY_PARAM_set1_host(param, host, 0) != 1)
            return CURLE_SSL_CONNECT_ERROR;
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    server = server_of(tls, address, host);
    server->began = now();
    SSL_CTX_set_cert_verify_callback(ctx, verify, server);
    return CURLE_OK;
}

struct vic_tls *vic_tls_new(const struct vic_tls_opts *opts, struct vic_error *err)
{
    struct vic_tls *tls = vic_alloc(sizeof(*tls));

    snprintf(tls->ca_field, sizeof(tls->ca_field), "%s",
             opts->ca_field ? opts->ca_field : "");
    snprintf(tls->thumbprint_field, sizeof(tls->thumbprint_field), "%s",
             opts->thumbprint_field ? opts->thumbprint_field : "");
    if (opts->thumbprint && opts->thumbprint[0]) {
        tls->pin_size = pin_parse(opts->thumbprint, tls->pin);
        if (tls->pin_size)
            return tls;
        vic_error_set(err, VIC_INVALID,
                      "the thumbprint \"%.100s\" is not a SHA-256 or SHA-1 in hex",
                      opts->thumbprint);
    } else if (opts->ca && opts->ca[0]) {
        tls->store = store_of_pem(opts->ca);
        if (tls->store)
            return tls;
        vic_error_set(err, VIC_INVALID, "the CA is not a certificate in PEM form");
    } else {
        tls->learn = opts->learn;
        return tls;
    }
    vic_tls_free(tls);
    return NULL;
}

void vic_tls_free(struct vic_tls *tls)
{
    if (!tls)
        return;
    X509_STORE_free(tls->store);
    free(tls);
}

int vic_tls_apply(struct vic_tls *tls, CURL *curl, struct vic_error *err)
{
    CURLcode code = CURLE_OK;

#define SET(option, value) (code = code ? code : curl_easy_setopt(curl, option, value))
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    /* The name is checked in verify(), where its failure can be told apart. */
    SET(CURLOPT_SSL_VERIFYHOST, tls->pin_size || tls->learn ? 0L : 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    /* A resumed session would not show its certificate again. */
    SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
    /* Our store takes the place of what curl would load, or share by its cache. */
    SET(CURLOPT_CAINFO, (char *)NULL);
    SET(CURLOPT_CAPATH, (char *)NULL);
    SET(CURLOPT_CA_CACHE_TIMEOUT, 0L);
    SET(CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
    SET(CURLOPT_SSL_CTX_DATA, tls);
#undef SET
    if (code)
        return vic_error_set(err, VIC_INTERNAL, "curl without OpenSSL: %s",
                             curl_easy_strerror(code));
    return 0;
}

const struct vic_tls_peer *vic_tls_peer(const struct vic_tls *tls, const char *url)
{
    char host[256];
    char address[300];
    const struct server *server;

    if (!tls || url_split(url, host, address))
        return NULL;
    server = server_find(tls, address);
    return server && server->seen ? &server->peer : NULL;
}

bool vic_tls_began(const struct vic_tls *tls, const char *url, double within)
{
    char host[256];
    char address[300];
    const struct server *server;

    if (!tls || url_split(url, host, address))
        return false;
    server = server_find(tls, address);
    return server && server->began && (double)(now() - server->began) <= within + 1;
}

int vic_tls_error(const struct vic_tls *tls, const char *what, const char *url,
                  const char *detail, struct vic_error *err)
{
    const struct vic_tls_peer *peer = vic_tls_peer(tls, url);
    char text[600];

    if (peer && !peer->trusted)
        return vic_error_set(err, VIC_TLS, "%s: %s", what, peer->reason);
    if (vic_handshake_broke(detail))
        return vic_error_set(err, VIC_CONNECT,
                             "%s: the connection broke in the TLS handshake: %s", what,
                             detail);
    vic_handshake_refused(detail, text, sizeof(text));
    return vic_error_set(err, VIC_TLS, "%s: %s", what, text);
}

bool vic_tls_failed(CURLcode code)
{
    return code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION ||
           code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CIPHER ||
           code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_ISSUER_ERROR ||
           code == CURLE_SSL_INVALIDCERTSTATUS;
}
