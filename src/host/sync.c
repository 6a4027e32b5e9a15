/*
 * sync: sleep, semaphore and signal for tasks. First come, first served.
 */
#include "sync.h"

#include "alloc.h"
#include "fail.h"
#include "wait.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <uv.h>

#define SEMAPHORE_TYPE "task.semaphore"
#define PERMIT_TYPE    "task.permit"
#define SIGNAL_TYPE    "task.signal"

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

int vic_sync_wait(lua_State *L, struct vic_sync *s, double timeout, lua_KFunction k)
{
    struct vic_wait **box = vic_wait_box(L);
    struct vic_waiter *w = vic_alloc(sizeof(*w));

    *box = &w->wait;
    w->wait.cancel = waiter_cancel;
    w->wait.free = waiter_free;
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

static int sleep_result(lua_State *L, int status, lua_KContext ctx)
{
    (void)L, (void)status, (void)ctx;
    return 0;
}

/* A userdata of that type holding a reference to a new object. */
static struct vic_sync *push_sync(lua_State *L, const char *type, unsigned permits)
{
    struct vic_sync **box = lua_newuserdatauv(L, sizeof(*box), 0);

    *box = vic_sync_new(permits);
    luaL_setmetatable(L, type);
    return *box;
}

static int l_sync_gc(lua_State *L)
{
    struct vic_sync **box = lua_touserdata(L, 1);

    if (*box)
        vic_sync_unref(*box);
    *box = NULL;
    return 0;
}

/*
 * task.sleep(seconds)                                                  [waits]
 */
static int l_task_sleep(lua_State *L)
{
    double seconds = luaL_checknumber(L, 1);

    luaL_argcheck(L, seconds >= 0, 1, "seconds must not be negative");
    return vic_sync_wait(L, push_sync(L, SIGNAL_TYPE, 0), fmin(seconds, LONGEST),
                         sleep_result);
}

static struct vic_sync *check_sync(lua_State *L, const char *type)
{
    return *(struct vic_sync **)luaL_checkudata(L, 1, type);
}

/*
 * task.semaphore(n) -> semaphore
 *
 *   n  integer  permits, 1 or more
 */
static int l_task_semaphore(lua_State *L)
{
    lua_Integer n = luaL_checkinteger(L, 1);

    luaL_argcheck(L, n >= 1 && n <= 1000000, 1, "must be 1 or more");
    push_sync(L, SEMAPHORE_TYPE, (unsigned)n);
    return 1;
}

/* Pushes a permit of `s`; box first, so that it cannot be lost. */
static struct vic_sync **push_permit(lua_State *L)
{
    struct vic_sync **permit = lua_newuserdatauv(L, sizeof(*permit), 0);

    *permit = NULL;
    luaL_setmetatable(L, PERMIT_TYPE);
    return permit;
}

static int semaphore_result(lua_State *L, int status, lua_KContext ctx)
{
    struct vic_sync **permit = push_permit(L);
    struct vic_sync *s = check_sync(L, SEMAPHORE_TYPE);

    (void)status;
    if (!vic_waiter_woken((struct vic_waiter *)ctx))
        return vic_fail(L, "timeout", "waiting for a free place: timed out");
    vic_sync_ref(s);
    *permit = s;
    return 1;
}

/*
 * semaphore:acquire(timeout?) -> permit | nil, err                     [waits]
 *
 *   timeout  seconds  how long to wait (default: for ever)
 *   permit   given back by permit:release(), by `<close>`, or when collected
 *   err      timeout
 */
static int l_semaphore_acquire(lua_State *L)
{
    struct vic_sync *s = check_sync(L, SEMAPHORE_TYPE);
    double timeout = vic_sync_timeout(L, 2);
    struct vic_sync **permit;

    if (s->permits == 0 || s->first)
        return vic_sync_wait(L, s, timeout, semaphore_result);
    permit = push_permit(L);
    vic_sync_take(s);
    vic_sync_ref(s);
    *permit = s;
    return 1;
}

/*
 * semaphore:available() -> integer
 */
static int l_semaphore_available(lua_State *L)
{
    lua_pushinteger(L, check_sync(L, SEMAPHORE_TYPE)->permits);
    return 1;
}

/*
 * permit:release()
 * Gives it back; again does nothing. Also __close and __gc.
 */
static int l_permit_release(lua_State *L)
{
    struct vic_sync **permit = luaL_checkudata(L, 1, PERMIT_TYPE);
    struct vic_sync *s = *permit;

    *permit = NULL;
    if (s) {
        vic_sync_give(s);
        vic_sync_unref(s);
    }
    return 0;
}

/*
 * task.signal() -> signal
 */
static int l_task_signal(lua_State *L)
{
    push_sync(L, SIGNAL_TYPE, 0);
    return 1;
}

/*
 * signal:notify()
 * Wakes every task that waits now.
 */
static int l_signal_notify(lua_State *L)
{
    vic_sync_wake_all(check_sync(L, SIGNAL_TYPE));
    return 0;
}

static int signal_result(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    if (!vic_waiter_woken((struct vic_waiter *)ctx))
        return vic_fail(L, "timeout", "waiting for a signal: timed out");
    lua_pushboolean(L, 1);
    return 1;
}

/*
 * signal:wait(timeout?) -> true | nil, err                             [waits]
 *
 *   timeout  seconds  (default: for ever)
 *   err      timeout
 */
static int l_signal_wait(lua_State *L)
{
    struct vic_sync *s = check_sync(L, SIGNAL_TYPE);

    return vic_sync_wait(L, s, vic_sync_timeout(L, 2), signal_result);
}

/* A metatable `type` with these methods, and `end` as its __gc (and __close). */
static void register_type(lua_State *L, const char *type, const luaL_Reg *methods,
                          lua_CFunction end, bool closeable)
{
    luaL_newmetatable(L, type);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, end);
    lua_setfield(L, -2, "__gc");
    if (closeable) {
        lua_pushcfunction(L, end);
        lua_setfield(L, -2, "__close");
    }
    lua_pop(L, 1);
}

void vic_sync_register(lua_State *L)
{
    static const luaL_Reg semaphore[] = {
        { "acquire", l_semaphore_acquire },
        { "available", l_semaphore_available },
        { NULL, NULL },
    };
    static const luaL_Reg permit[] = {
        { "release", l_permit_release },
        { NULL, NULL },
    };
    static const luaL_Reg signal[] = {
        { "notify", l_signal_notify },
        { "wait", l_signal_wait },
        { NULL, NULL },
    };
    static const luaL_Reg functions[] = {
        { "semaphore", l_task_semaphore },
        { "signal", l_task_signal },
        { "sleep", l_task_sleep },
        { NULL, NULL },
    };

    register_type(L, SEMAPHORE_TYPE, semaphore, l_sync_gc, false);
    register_type(L, PERMIT_TYPE, permit, l_permit_release, true);
    register_type(L, SIGNAL_TYPE, signal, l_sync_gc, false);
    luaL_setfuncs(L, functions, 0);
}
