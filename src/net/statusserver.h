/*
 * statusserver: GET /healthz, /readyz and /metrics, answered by a thread of its own, so
 * that they are answered whatever the loop does. /debug/tasks alone waits for the loop.
 *
 * Every function may be called from any thread.
 */
#ifndef VIC_STATUSSERVER_H
#define VIC_STATUSSERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vic_error;
struct vic_statusserver;

struct vic_statusserver_opts {
    const char *host; /* numeric address; NULL: all */
    uint16_t port;    /* 0: any free one */
    double stall;     /* seconds without a tick, after which it is not healthy; 0: 30 */
    /* Somebody wants /debug/tasks: vic_statusserver_tasks() has to follow. On a thread of
     * the server's. NULL: nobody is told. */
    void (*ask_tasks)(void *arg);
    void *arg;
};

/* NULL: *err says why. It begins healthy and not ready. */
struct vic_statusserver *vic_statusserver_start(const struct vic_statusserver_opts *opts,
                                                struct vic_error *err);
/* No other call may be under way, or follow. NULL is fine. */
void vic_statusserver_stop(struct vic_statusserver *s);

/* The socket it listens at, for vic_listen_port() and vic_listen_address(). */
int vic_statusserver_socket(const struct vic_statusserver *s);

/* Whoever must not stall is alive. */
void vic_statusserver_tick(struct vic_statusserver *s);

/* Answers those who wait for /debug/tasks; the text is copied. */
void vic_statusserver_tasks(struct vic_statusserver *s, const char *text, size_t size);

/* What /readyz says; `reason` is why it is not ready. */
void vic_statusserver_ready(struct vic_statusserver *s, bool ready, const char *reason);

#endif
