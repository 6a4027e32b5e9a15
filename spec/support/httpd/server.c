/*
 * The server: one thread that accepts, one for each connection. Everything shared is
 * under one lock; every wait ends within 20 ms of `stop`.
 */
#include "httpd.h"

#include <openssl/pem.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MOST_REQUEST (32 * 1024 * 1024)

struct script {
    struct step *steps;
    struct script *next;
};

struct route {
    char *path;
    struct script *scripts; /* the first is next; the last one stays */
    struct route *next;
};

struct record {
    char *text;
    size_t size;
    struct record *next;
};

struct server {
    int fd;
    int port;
    SSL_CTX *tls; /* NULL: plain */
    bool hangs_up;
    bool turns_away;
    pthread_t thread;
    atomic_bool stop;

    pthread_mutex_t lock; /* for all below */
    pthread_cond_t changed;
    int open;
    int accepted;
    struct route *routes;
    struct script *done; /* used up, but perhaps still being performed */
    struct record *records;
    struct record **last_record;
};

struct connection {
    struct server *server;
    int fd;
    SSL *ssl;
};

void steps_free(struct step *steps)
{
    while (steps) {
        struct step *next = steps->next;

        free(steps->bytes);
        free(steps);
        steps = next;
    }
}

/* ---- bytes ---- */

/* Whether a read or write that returned `n` may be tried again. */
static bool again(struct connection *c, int n)
{
    if (atomic_load(&c->server->stop))
        return false;
    if (c->ssl) {
        int problem = SSL_get_error(c->ssl, n);

        return problem == SSL_ERROR_WANT_READ || problem == SSL_ERROR_WANT_WRITE;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static int conn_read(struct connection *c, char *buffer, int size)
{
    int n;

    do
        n = c->ssl ? SSL_read(c->ssl, buffer, size) : (int)recv(c->fd, buffer, size, 0);
    while (n <= 0 && again(c, n));
    return n;
}

static bool conn_write(struct connection *c, const char *bytes, size_t size)
{
    while (size > 0) {
        int n;

        do
            n = c->ssl ? SSL_write(c->ssl, bytes, (int)size)
                       : (int)send(c->fd, bytes, size, MSG_NOSIGNAL);
        while (n <= 0 && again(c, n));
        if (n <= 0)
            return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

static void doze(struct server *server, double seconds)
{
    for (; seconds > 0 && !atomic_load(&server->stop); seconds -= 0.02) {
        double part = seconds < 0.02 ? seconds : 0.02;
        struct timespec time = { 0, (long)(part * 1e9) };

        nanosleep(&time, NULL);
    }
}

/* ---- one exchange ---- */

/* Reads head and body; NULL at the end of the connection. */
static char *request_read(struct connection *c, size_t *size)
{
    char *text = malloc(MOST_REQUEST + 1);
    size_t have = 0, want = 0;

    while (have < MOST_REQUEST && (!want || have < want)) {
        int n = conn_read(c, text + have, MOST_REQUEST - (int)have);
        char *end;

        if (n <= 0)
            break;
        have += (size_t)n;
        text[have] = '\0';
        end = want ? NULL : strstr(text, "\r\n\r\n");
        if (end) {
            char *length = strcasestr(text, "\r\nContent-Length:");

            want = (size_t)(end + 4 - text);
            if (length && length < end)
                want += strtoul(length + 17, NULL, 10);
        }
    }
    if (want && have >= want) {
        *size = have;
        return realloc(text, have + 1);
    }
    free(text);
    return NULL;
}

static void request_record(struct server *server, char *text, size_t size)
{
    struct record *record = calloc(1, sizeof(*record));

    record->text = text;
    record->size = size;
    *server->last_record = record;
    server->last_record = &record->next;
}

/* The script for this request; the server is locked. */
static struct script *route_take(struct server *server, const char *text)
{
    const char *path = strchr(text, ' ') + 1;
    size_t size = strcspn(path, " ?");
    struct route *route = server->routes;
    struct script *script;

    while (route && (strlen(route->path) != size || memcmp(route->path, path, size) != 0))
        route = route->next;
    if (!route)
        return NULL;
    script = route->scripts;
    if (script->next) {
        route->scripts = script->next;
        script->next = server->done;
        server->done = script;
    }
    return script;
}

/* False: the connection is to be closed. */
static bool steps_perform(struct connection *c, const struct step *step)
{
    struct linger abrupt = { 1, 0 };
    unsigned long i;
    char byte;

    for (; step; step = step->next) {
        switch (step->kind) {
        case STEP_SEND:
            for (i = 0; i < step->times; i++)
                if (!conn_write(c, step->bytes, step->size))
                    return false;
            break;
        case STEP_WAIT:
            doze(c->server, step->seconds);
            break;
        case STEP_HANG: /* until the other side gives up */
            while (conn_read(c, &byte, 1) > 0)
                ;
            return false;
        case STEP_RESET:
            setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &abrupt, sizeof(abrupt));
            return false;
        case STEP_CLOSE:
            return false;
        }
    }
    return true;
}

static bool exchange(struct connection *c)
{
    static const char none[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    struct script *script;
    size_t size;
    char *text = request_read(c, &size);

    if (!text)
        return false;
    pthread_mutex_lock(&c->server->lock);
    request_record(c->server, text, size);
    script = strchr(text, ' ') ? route_take(c->server, text) : NULL;
    pthread_mutex_unlock(&c->server->lock);
    if (!script)
        return conn_write(c, none, sizeof(none) - 1);
    return steps_perform(c, script->steps);
}

/* ---- connections ---- */

/* As a server of plain HTTP answers bytes that are no request. */
static void turn_away(struct connection *c)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    char bytes[4096];

    if (conn_read(c, bytes, sizeof(bytes)) > 0)
        conn_write(c, answer, sizeof(answer) - 1);
}

static bool conn_handshake(struct connection *c)
{
    int n;

    if (c->server->turns_away)
        turn_away(c);
    if (c->server->turns_away || c->server->hangs_up)
        return false;
    if (!c->server->tls)
        return true;
    c->ssl = SSL_new(c->server->tls);
    SSL_set_fd(c->ssl, c->fd);
    do
        n = SSL_accept(c->ssl);
    while (n <= 0 && again(c, n));
    return n > 0;
}

static void *conn_run(void *arg)
{
    struct connection *c = arg;
    struct server *server = c->server;
    struct linger linger;
    socklen_t size = sizeof(linger);

    if (conn_handshake(c))
        while (exchange(c))
            ;
    getsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, &size);
    if (c->ssl && !linger.l_onoff)
        SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    close(c->fd);
    free(c);

    pthread_mutex_lock(&server->lock);
    server->open--;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

static void conn_start(struct server *server, int fd)
{
    struct timeval wait = { 0, 20000 };
    struct connection *c = calloc(1, sizeof(*c));
    pthread_attr_t attr;
    pthread_t thread;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    c->server = server;
    c->fd = fd;
    pthread_mutex_lock(&server->lock);
    server->open++;
    server->accepted++;
    pthread_mutex_unlock(&server->lock);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_create(&thread, &attr, conn_run, c);
    pthread_attr_destroy(&attr);
}

static void *server_run(void *arg)
{
    struct server *server = arg;

    while (!atomic_load(&server->stop)) {
        int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0)
            conn_start(server, fd);
    }
    return NULL;
}

/* ---- the whole ---- */

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

static SSL_CTX *tls_new(const struct server_tls *opts)
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

struct server *server_new(const char *ip, const struct server_tls *tls)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof(address);
    struct timeval wait = { 0, 20000 };
    struct server *server = calloc(1, sizeof(*server));

    inet_pton(AF_INET, ip, &address.sin_addr);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(server->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    if (bind(server->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(server->fd, 64) < 0) {
        close(server->fd);
        free(server);
        return NULL;
    }
    getsockname(server->fd, (struct sockaddr *)&address, &size);
    server->port = ntohs(address.sin_port);
    server->tls = tls->cert ? tls_new(tls) : NULL;
    server->hangs_up = tls->hangs_up;
    server->turns_away = tls->turns_away;
    server->last_record = &server->records;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    pthread_create(&server->thread, NULL, server_run, server);
    return server;
}

int server_port(const struct server *server)
{
    return server->port;
}

void server_on(struct server *server, const char *path, struct step *steps)
{
    struct script *script = calloc(1, sizeof(*script));
    struct script **last;
    struct route *route;

    script->steps = steps;
    pthread_mutex_lock(&server->lock);
    for (route = server->routes; route && strcmp(route->path, path) != 0;)
        route = route->next;
    if (!route) {
        route = calloc(1, sizeof(*route));
        route->path = strdup(path);
        route->next = server->routes;
        server->routes = route;
    }
    for (last = &route->scripts; *last; last = &(*last)->next)
        ;
    *last = script;
    pthread_mutex_unlock(&server->lock);
}

void server_requests(struct server *server,
                     void (*each)(void *arg, const char *text, size_t size), void *arg)
{
    struct record *record;

    pthread_mutex_lock(&server->lock);
    for (record = server->records; record; record = record->next)
        each(arg, record->text, record->size);
    pthread_mutex_unlock(&server->lock);
}

int server_connections(struct server *server)
{
    int count;

    pthread_mutex_lock(&server->lock);
    count = server->accepted;
    pthread_mutex_unlock(&server->lock);
    return count;
}

bool server_idle(struct server *server)
{
    bool idle;

    pthread_mutex_lock(&server->lock);
    idle = server->open == 0;
    pthread_mutex_unlock(&server->lock);
    return idle;
}

static void scripts_free(struct script *script)
{
    while (script) {
        struct script *next = script->next;

        steps_free(script->steps);
        free(script);
        script = next;
    }
}

void server_free(struct server *server)
{
    atomic_store(&server->stop, true);
    pthread_join(server->thread, NULL);
    close(server->fd);
    pthread_mutex_lock(&server->lock);
    while (server->open > 0)
        pthread_cond_wait(&server->changed, &server->lock);
    pthread_mutex_unlock(&server->lock);

    while (server->routes) {
        struct route *next = server->routes->next;

        scripts_free(server->routes->scripts);
        free(server->routes->path);
        free(server->routes);
        server->routes = next;
    }
    scripts_free(server->done);
    while (server->records) {
        struct record *next = server->records->next;

        free(server->records->text);
        free(server->records);
        server->records = next;
    }
    SSL_CTX_free(server->tls);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}
