/*
 * The server: one thread that accepts, and what it was told to answer.
 */
#include "server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void steps_free(struct step *steps)
{
    while (steps) {
        struct step *next = steps->next;

        free(steps->bytes);
        free(steps);
        steps = next;
    }
}

static void *server_run(void *arg)
{
    struct server *server = arg;

    while (!atomic_load(&server->stop)) {
        int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0)
            connection_start(server, fd);
    }
    return NULL;
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
    server->tls = tls->cert ? server_tls_new(tls) : NULL;
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
