/*
 * sync: tasks in a queue. First come, first served.
 */
#include "sync.h"

#include "alloc.h"
#include "wait.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <uv.h>

#define LONGEST 3.0e9 /* seconds; longer waits are cut to this */

struct vic_waiter {
    struct vic_wait wait; /* first, so that a vic_wait * is a vic_waiter * */
    uv_timer_t timer;
    struct vic_sync *sync;
    struct vic_waiter *next;
    bool queued;
    bool woken;
    bool permit; /* a permit was given and not yet taken over */
};

struct vic_sync {
    unsigned refs;
    unsigned permits;
    struct vic_waiter *first;
};

struct vic_sync *vic_sync_new(unsigned permits)
{
    struct vic_sync *s = vic_alloc(sizeof(*s));

    s->refs = 1;
    s->permits = permits;
    return s;
}

void vic_sync_ref(struct vic_sync *s)
{
    s->refs++;
}

void vic_sync_unref(struct vic_sync *s)
{
    if (--s->refs == 0)
        free(s);
}

static void waiter_enqueue(struct vic_waiter *w)
{
    struct vic_waiter **p = &w->sync->first;

    while (*p)
        p = &(*p)->next;
    *p = w;
    w->queued = true;
}

static void waiter_dequeue(struct vic_waiter *w)
{
    struct vic_waiter **p = &w->sync->first;

    if (!w->queued)
        return;
    while (*p != w)
        p = &(*p)->next;
    *p = w->next;
    w->next = NULL;
    w->queued = false;
}

/* Out of the queue, by whatever: the task can go on. */
static void waiter_end(struct vic_waiter *w)
{
    waiter_dequeue(w);
    uv_timer_stop(&w->timer);
    vic_wait_done(&w->wait);
}

void vic_sync_wake_all(struct vic_sync *s)
{
    struct vic_waiter *w;

    while ((w = s->first)) {
        w->woken = true;
        waiter_end(w);
    }
}

bool vic_sync_take(struct vic_sync *s)
{
    if (s->permits == 0 || s->first)
        return false;
    s->permits--;
    return true;
}

void vic_sync_give(struct vic_sync *s)
{
    struct vic_waiter *w = s->first;

    if (!w) {
        s->permits++;
        return;
    }
    w->woken = w->permit = true;
    waiter_end(w);
}

unsigned vic_sync_available(const struct vic_sync *s)
{
    return s->permits;
}

static void waiter_timeout(uv_timer_t *timer)
{
    waiter_end(timer->data);
}

static void waiter_cancel(struct vic_wait *wait)
{
    waiter_end((struct vic_waiter *)wait);
}

static void waiter_closed(uv_handle_t *timer)
{
    free(timer->data);
}

static void waiter_free(struct vic_wait *wait)
{
    struct vic_waiter *w = (struct vic_waiter *)wait;
    struct vic_sync *s = w->sync;

    if (w->permit)
        vic_sync_give(s);
    vic_sync_unref(s);
    uv_close((uv_handle_t *)&w->timer, waiter_closed);
}

int vic_sync_wait(lua_State *L, struct vic_sync *s, double timeout, const char *what,
                  lua_KFunction k)
{
    struct vic_wait **box = vic_wait_box(L);
    struct vic_waiter *w = vic_alloc(sizeof(*w));

    *box = &w->wait;
    w->wait.cancel = waiter_cancel;
    w->wait.free = waiter_free;
    vic_wait_what(&w->wait, "%s", what);
    w->sync = s;
    vic_sync_ref(s);
    uv_timer_init(uv_default_loop(), &w->timer);
    w->timer.data = w;
    waiter_enqueue(w);
    if (timeout >= 0) {
        uv_update_time(uv_default_loop());
        uv_timer_start(&w->timer, waiter_timeout, (uint64_t)ceil(timeout * 1000), 0);
    }
    return vic_wait_for(L, box, k);
}

bool vic_waiter_woken(struct vic_waiter *w)
{
    w->permit = false;
    return w->woken;
}

double vic_sync_timeout(lua_State *L, int index)
{
    double seconds;

    if (lua_isnoneornil(L, index))
        return -1;
    seconds = luaL_checknumber(L, index);
    luaL_argcheck(L, seconds >= 0, index, "seconds must not be negative");
    return fmin(seconds, LONGEST);
}
