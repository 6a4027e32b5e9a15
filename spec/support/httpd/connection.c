/*
 * connection: one thread for each: reads requests, performs their scripts.
 */
#include "server.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MOST_REQUEST (32 * 1024 * 1024)

struct connection {
    struct server *server;
    int fd;
    SSL *ssl;
};

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

/* Reads head and body; NULL at the end of the connection. With a header Read-Body-After, in
 * seconds, the body waits on its way for so long. */
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
            char *after = strcasestr(text, "\r\nRead-Body-After:");

            want = (size_t)(end + 4 - text);
            if (length && length < end)
                want += strtoul(length + 17, NULL, 10);
            if (after && after < end)
                doze(c->server, strtod(after + 18, NULL));
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

void connection_start(struct server *server, int fd)
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
