/*
 * tls: a server's side of TLS, as good or as bad as a spec wants it.
 */
#include "server.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <string.h>

/* Shows whatever it was given: a server that is wrong must be possible here. */
static void tls_weaken(SSL_CTX *tls, const struct server_tls *opts)
{
    SSL_CTX_set_security_level(tls, 0);
    if (opts->version && strcmp(opts->version, "1.1") == 0)
        SSL_CTX_set_max_proto_version(tls, TLS1_1_VERSION);
    if (opts->version && strcmp(opts->version, "1.2") == 0)
        SSL_CTX_set_max_proto_version(tls, TLS1_2_VERSION);
    if (opts->ciphers)
        SSL_CTX_set_cipher_list(tls, opts->ciphers);
    if (opts->wants_client)
        SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

SSL_CTX *server_tls_new(const struct server_tls *opts)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    BIO *cert_bio = BIO_new_mem_buf(opts->cert, -1);
    BIO *key_bio = BIO_new_mem_buf(opts->key, -1);
    X509 *x509 = PEM_read_bio_X509(cert_bio, NULL, NULL, NULL);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL);

    tls_weaken(tls, opts);
    SSL_CTX_use_certificate(tls, x509);
    SSL_CTX_use_PrivateKey(tls, pkey);
    X509_free(x509);
    while ((x509 = PEM_read_bio_X509(cert_bio, NULL, NULL, NULL)) != NULL)
        SSL_CTX_add_extra_chain_cert(tls, x509); /* takes it over */
    ERR_clear_error();
    EVP_PKEY_free(pkey);
    BIO_free(cert_bio);
    BIO_free(key_bio);
    return tls;
}
