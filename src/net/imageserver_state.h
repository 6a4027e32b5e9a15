/*
 * imageserver_state: what an image server is, for its own two files: imageserver.c, which
 * starts it and says what it has, and exchange.c, which answers.
 */
#ifndef VIC_IMAGESERVER_STATE_H
#define VIC_IMAGESERVER_STATE_H

#include "stand_by.h"

#include <microhttpd.h>
#include <stdbool.h>

struct vic_drips;
struct vic_heads;
struct vic_metric;
struct vic_open_readers;
struct vic_routes;

struct vic_imageserver {
    struct MHD_Daemon *daemon;
    int socket; /* the daemon's */
    struct vic_routes *routes;
    struct vic_stand_by stand_by;
    struct vic_metric *requests_total, *bytes_total;
    bool sha512;

    struct vic_heads *heads;
    struct vic_drips *drips;
    struct vic_open_readers *readers;
};

/* libmicrohttpd's callbacks; `server` is a struct vic_imageserver *. */
enum MHD_Result vic_exchange_request(void *server, struct MHD_Connection *connection,
                                     const char *url, const char *method,
                                     const char *version, const char *upload,
                                     size_t *upload_size, void **state);
void vic_exchange_completed(void *server, struct MHD_Connection *connection, void **state,
                            enum MHD_RequestTerminationCode code);

/* A connection has come, or goes; `state` of it is its struct vic_head. */
void vic_exchange_connection(void *server, struct MHD_Connection *connection,
                             void **state, enum MHD_ConnectionNotificationCode code);

/* Of the connections that wait for a route or a byte. */
void vic_exchange_suspend(void *connection);
void vic_exchange_resume(void *connection);

#endif
