/*
 * server: what the parts of the server share. Everything under `lock` is under one lock;
 * every wait of any thread ends within 20 ms of `stop`.
 */
#ifndef VIC_HTTPD_SERVER_H
#define VIC_HTTPD_SERVER_H

#include "httpd.h"

#include <openssl/ssl.h>

#include <pthread.h>
#include <stdatomic.h>

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

/* ---- connection.c ---- */

/* Answers one that was accepted, on a thread of its own; it closes `fd`. */
void connection_start(struct server *server, int fd);

/* ---- tls.c ---- */

/* What shows the certificate, however wrong it is. */
SSL_CTX *server_tls_new(const struct server_tls *opts);

#endif
