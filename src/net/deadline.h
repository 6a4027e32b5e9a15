/*
 * deadline: tells when nothing has happened for too long, or all of it takes too long.
 * On the thread of its loop.
 */
#ifndef VIC_DEADLINE_H
#define VIC_DEADLINE_H

#include <uv.h>

#include <stdbool.h>
#include <stdint.h>

/* Embed it; the fields are its own. */
struct vic_deadline {
    uv_timer_t timer;
    bool watching; /* idleness counts */
    bool late;     /* over, but for the last chance */
    bool closed;
    uint64_t idle;     /* ms */
    uint64_t activity; /* ms, loop time */
    uint64_t end;      /* ms, loop time; UINT64_MAX: never */
    void *arg;
    void (*expired)(void *arg, bool total);
    void (*gone)(void *arg);
};

/* Idle for `idle` seconds, or `total` seconds from now (0: no limit): then expired()
 * is called, once, and told which. Idleness does not count yet. */
void vic_deadline_init(struct vic_deadline *deadline, uv_loop_t *loop, double idle,
                       double total, void (*expired)(void *arg, bool total), void *arg);

/* Something happened. */
void vic_deadline_touch(struct vic_deadline *deadline);

/* From now on idleness counts, or not. */
void vic_deadline_watch(struct vic_deadline *deadline, bool on);

/* No more expired(); gone() is called when the memory is not needed any more. */
void vic_deadline_close(struct vic_deadline *deadline, void (*gone)(void *arg));

/* Seconds as whole ms, bounded. */
uint64_t vic_milliseconds(double seconds);

#endif
