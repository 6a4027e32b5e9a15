/*
 * sync: a place where tasks queue until somebody wakes them or time is up.
 *
 * Loop thread only. Counted: whoever waits holds a reference, so an object may
 * be dropped while tasks still stand in its queue (they then end by time-out or
 * cancel).
 */
#ifndef VIC_SYNC_H
#define VIC_SYNC_H

#include <lua.h>
#include <stdbool.h>

struct vic_sync;
struct vic_waiter;

/* `permits` are what vic_sync_take() finds free at first. */
struct vic_sync *vic_sync_new(unsigned permits);
void vic_sync_ref(struct vic_sync *s);
void vic_sync_unref(struct vic_sync *s);

/* Wakes all present waiters; the next ones wait again. */
void vic_sync_wake_all(struct vic_sync *s);

/* Takes a free permit; false: none. Never overtakes a waiter. */
bool vic_sync_take(struct vic_sync *s);

/* Gives a permit to the longest waiter, or back. */
void vic_sync_give(struct vic_sync *s);

unsigned vic_sync_available(const struct vic_sync *s);

/* Suspends the caller until woken or `timeout` seconds are over (negative: never); `what`
 * is for people, as in struct vic_wait. The context of `k` is the struct vic_waiter *. Use as `return vic_sync_wait(...)`. */
int vic_sync_wait(lua_State *L, struct vic_sync *s, double timeout, const char *what,
                  lua_KFunction k);

/* In `k`: false: time is up. A waiter that was given a permit owns it from now on. */
bool vic_waiter_woken(struct vic_waiter *w);

/* The optional argument `index`: seconds >= 0, or -1 where it is absent. */
double vic_sync_timeout(lua_State *L, int index);

#endif
