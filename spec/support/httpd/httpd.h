/*
 * httpd: a scripted HTTP server for the specs, in threads of its own, so that it does
 * not depend on the loop it tests. It sends what it is told, right or wrong.
 */
#ifndef HTTPD_H
#define HTTPD_H

#include <lua.h>

#include <stdbool.h>
#include <stddef.h>

/* One thing that a connection does after it has read a request. */
enum step_kind { STEP_SEND, STEP_WAIT, STEP_CLOSE, STEP_RESET, STEP_HANG };

struct step {
    enum step_kind kind;
    char *bytes;
    size_t size;
    unsigned long times; /* of STEP_SEND */
    double seconds;      /* of STEP_WAIT */
    struct step *next;
};

struct server;

struct server_tls {
    const char *cert; /* PEM, the server's own first; NULL: plain HTTP */
    const char *key;
    const char *version; /* the newest that it speaks: "1.1", "1.2"; NULL: all */
    const char *ciphers; /* up to TLS 1.2 */
    bool wants_client;   /* a certificate of the client, which it then refuses */
    bool hangs_up;       /* as soon as somebody connects */
    bool turns_away;     /* plain HTTP: 400 for the first bytes, whatever they are */
};

/* address: of the loopback net. NULL: no server, errno. */
struct server *server_new(const char *address, const struct server_tls *tls);
int server_port(const struct server *server);
/* Takes over the steps: what is done for a request of `path`; added to those for
 * earlier requests, and the last one stays. */
void server_on(struct server *server, const char *path, struct step *steps);
void steps_free(struct step *steps);
/* The requests so far, as they came. `each` is called under the server's lock. */
void server_requests(struct server *server,
                     void (*each)(void *arg, const char *text, size_t size), void *arg);
int server_connections(struct server *server);
/* Whether no connection is open any more. */
bool server_idle(struct server *server);
/* Ends all connections and threads. */
void server_free(struct server *server);

int l_certificate(lua_State *L);
int l_hang_resolver(lua_State *L);

#endif
