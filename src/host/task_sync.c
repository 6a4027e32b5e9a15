/*
 * host.task's sleep, semaphore and signal.
 */
#include "task_sync.h"

#include "fail.h"
#include "sync.h"

#include <lauxlib.h>

#define SEMAPHORE_TYPE "task.semaphore"
#define PERMIT_TYPE    "task.permit"
#define SIGNAL_TYPE    "task.signal"

static struct vic_sync *stop; /* task.on_stop's; NULL: nobody asked for it */

static int sleep_result(lua_State *L, int status, lua_KContext ctx)
{
    (void)L, (void)status, (void)ctx;
    return 0;
}

/* A userdata of that type; what is put into it is a reference it owns. */
static struct vic_sync **push_box(lua_State *L, const char *type)
{
    struct vic_sync **box = lua_newuserdatauv(L, sizeof(*box), 0);

    *box = NULL;
    luaL_setmetatable(L, type);
    return box;
}

/* The same, holding a reference to a new object. */
static struct vic_sync *push_sync(lua_State *L, const char *type, unsigned permits)
{
    return *push_box(L, type) = vic_sync_new(permits);
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
    return vic_sync_wait(L, push_sync(L, SIGNAL_TYPE, 0), seconds, "sleep", sleep_result);
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

/*
 * task.on_stop() -> semaphore
 * From now on the first SIGTERM or SIGINT cancels no task: it puts a permit into this
 * semaphore, which has no other. Whoever acquires it ends things in an order of their own;
 * what the first task returns is the exit code. The grace period begins as ever, and the
 * second signal ends the process at once.
 */
static int l_task_on_stop(lua_State *L)
{
    struct vic_sync **box = push_box(L, SEMAPHORE_TYPE);

    if (!stop)
        stop = vic_sync_new(0);
    vic_sync_ref(stop);
    *box = stop;
    return 1;
}

bool vic_task_stop(void)
{
    if (!stop)
        return false;
    vic_sync_give(stop);
    return true;
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
    struct vic_sync **permit = push_permit(L);

    if (!vic_sync_take(s)) {
        lua_pop(L, 1);
        return vic_sync_wait(L, s, timeout, "a permit", semaphore_result);
    }
    vic_sync_ref(s);
    *permit = s;
    return 1;
}

/*
 * semaphore:available() -> integer
 */
static int l_semaphore_available(lua_State *L)
{
    lua_pushinteger(L, vic_sync_available(check_sync(L, SEMAPHORE_TYPE)));
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

    return vic_sync_wait(L, s, vic_sync_timeout(L, 2), "a signal", signal_result);
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

void vic_task_sync_register(lua_State *L)
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
        { "on_stop", l_task_on_stop },
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
