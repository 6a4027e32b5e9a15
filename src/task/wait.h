/*
 * wait: how a Lua coroutine waits for something the event loop finishes later.
 *
 * A wait is C memory (libuv, curl or a worker thread may point at it); the
 * coroutine sees only a box, a userdata holding one pointer. Whichever side
 * ends first cuts the other loose, so neither can reach freed memory:
 *
 *   finished first   vic_wait_done() puts the task on the ready list; the box frees.
 *   cancelled first  the box asks ->cancel() and forgets the wait;
 *                    vic_wait_done() then finds nobody and frees.
 *
 * Everything here runs on the loop thread.
 */
#ifndef VIC_WAIT_H
#define VIC_WAIT_H

#include <lua.h>
#include <stdbool.h>

#define VIC_WAIT_WHAT 128

struct vic_wait {
    lua_State *co;                      /* who waits; NULL: nobody any more */
    bool pending;                       /* the loop or a thread still holds this */
    void (*cancel)(struct vic_wait *w); /* hurry up; nothing may follow it. May be NULL,
                                           may itself call vic_wait_done() */
    void (*free)(struct vic_wait *w);
    char what[VIC_WAIT_WHAT]; /* what is waited for, in a few words, for people */
};

/* Who resumes coroutines. */
struct vic_wait_scheduler {
    /* It is about to yield; throws where none can wait. `w` lives until it goes on. */
    void (*waits)(lua_State *co, const struct vic_wait *w);
    void (*ready)(lua_State *co); /* it can go on */
};

/* Registers the box type. Call once per process. */
void vic_wait_init(lua_State *L, const struct vic_wait_scheduler *scheduler);

/* Pushes an empty box that is closed when the calling C function returns,
 * fails or is cancelled. Create it before anything that needs freeing. */
struct vic_wait **vic_wait_box(lua_State *L);

/* Sets w->what; what is too long is cut. No secrets. */
void vic_wait_what(struct vic_wait *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Suspends the caller until vic_wait_done(*box). Use as `return vic_wait_for(...)`;
 * the results are whatever `k` returns. Throws where no task can wait. */
int vic_wait_for(lua_State *L, struct vic_wait **box, lua_KFunction k);

/* Ends a pending wait; makes the waiter ready or, if there is none, frees. */
void vic_wait_done(struct vic_wait *w);

#endif
