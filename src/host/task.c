/*
 * host.task: tasks, seen from Lua.
 */
#include "fail.h"
#include "host.h"
#include "sync.h"
#include "task.h"
#include "task_list.h"
#include "task_sync.h"
#include "wait.h"

#include <lauxlib.h>

#include <stdio.h>

#define HANDLE_TYPE "host.task"

static struct vic_task *check_task(lua_State *L)
{
    return *(struct vic_task **)luaL_checkudata(L, 1, HANDLE_TYPE);
}

/* Pushes an empty handle; what is put into it is a reference it owns. */
static struct vic_task **push_handle(lua_State *L)
{
    struct vic_task **box = lua_newuserdatauv(L, sizeof(*box), 0);

    *box = NULL;
    luaL_setmetatable(L, HANDLE_TYPE);
    return box;
}

static int spawn(lua_State *L, bool goodbye)
{
    int first = lua_type(L, 1) == LUA_TSTRING ? 2 : 1; /* of function and arguments */
    int nargs = lua_gettop(L) - first;
    struct vic_task **box;

    luaL_checktype(L, first, LUA_TFUNCTION);
    box = push_handle(L);
    lua_insert(L, first);
    *box = vic_task_spawn(L, first > 1 ? lua_tostring(L, 1) : NULL, nargs);
    if (goodbye)
        vic_task_say_goodbye(*box);
    return 1;
}

/*
 * task.spawn(name?, f, ...) -> task
 * Runs f(...) as a task of its own. From a closing value of a task that is being
 * cancelled it is a goodbye.
 *
 *   name  string  what it does, for who looks at the list    (default: where f is defined)
 */
static int l_task_spawn(lua_State *L)
{
    return spawn(L, false);
}

/*
 * task.goodbye(name?, f, ...) -> task
 * Runs f(...) as a task that whoever cancels or joins the current one waits for,
 * and that exit lets finish. For what a `__close` has to say over the network.
 */
static int l_task_goodbye(lua_State *L)
{
    return spawn(L, true);
}

/*
 * task.current() -> task | nil
 */
static int l_task_current(lua_State *L)
{
    struct vic_task **box;

    if (!vic_task_current())
        return 0;
    box = push_handle(L);
    *box = vic_task_current();
    vic_task_ref(*box);
    return 1;
}

/*
 * task.label(text?) -> string | nil
 * For whom the running task works, as it or who spawned it has said. With `text` says
 * so, also of all tasks that it spawns from now on.
 */
static int l_task_label(lua_State *L)
{
    if (!lua_isnoneornil(L, 1))
        vic_task_set_label(luaL_checkstring(L, 1));
    lua_pushstring(L, vic_task_label());
    return 1;
}

static int wait_for_end(lua_State *L, struct vic_task *t, double timeout, lua_KFunction k)
{
    char what[VIC_WAIT_WHAT];

    snprintf(what, sizeof(what), "the end of %s", vic_task_name(t));
    return vic_sync_wait(L, vic_task_end(t), timeout, what, k);
}

static int cancel_result(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    if (!vic_waiter_woken((struct vic_waiter *)ctx))
        return vic_fail(L, "timeout", "cancelling a task: it has not ended in time");
    lua_pushboolean(L, 1);
    return 1;
}

/*
 * task:cancel(timeout?) -> true | nil, err                             [waits]
 * Ends it at its next wait, closing what it holds, and waits until that and the
 * goodbyes are done. Cancelling oneself returns at once and ends at the next wait.
 *
 *   timeout  seconds  (default: for ever)
 *   err      timeout
 */
static int l_task_cancel(lua_State *L)
{
    struct vic_task *t = check_task(L);
    double timeout = vic_sync_timeout(L, 2);

    vic_task_cancel(t);
    vic_task_observe(t);
    if (!vic_task_settled(t) && t != vic_task_current() && timeout != 0)
        return wait_for_end(L, t, timeout, cancel_result);
    lua_pushboolean(L, 1);
    return 1;
}

static int join_push(lua_State *L, struct vic_task *t)
{
    int n;
    bool ok;

    lua_settop(L, 1);
    lua_pushboolean(L, 1);
    ok = vic_task_results(t, L, &n);
    lua_pushboolean(L, ok);
    lua_replace(L, 2);
    return n + 1;
}

static int join_result(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    if (!vic_waiter_woken((struct vic_waiter *)ctx))
        return vic_fail(L, "timeout", "waiting for a task: it has not ended in time");
    return join_push(L, check_task(L));
}

/*
 * task:join(timeout?) -> true, ... | false, err | nil, err             [waits]
 * Waits until it and its goodbyes have ended.
 *
 *   true, ...   what its function returned
 *   false, err  what it threw; kind cancelled: it was cancelled
 *   nil, err    timeout: it has not ended within `timeout` seconds
 */
static int l_task_join(lua_State *L)
{
    struct vic_task *t = check_task(L);
    double timeout = vic_sync_timeout(L, 2);

    vic_task_observe(t);
    if (vic_task_settled(t))
        return join_push(L, t);
    return wait_for_end(L, t, timeout, join_result);
}

/*
 * task:done() -> boolean
 */
static int l_task_done(lua_State *L)
{
    lua_pushboolean(L, vic_task_settled(check_task(L)));
    return 1;
}

/* `local t <close> = task.spawn(...)`: cancels; its end is a goodbye of the closer. */
static int l_task_close(lua_State *L)
{
    struct vic_task *t = check_task(L);

    if (!vic_task_settled(t)) {
        vic_task_cancel(t);
        vic_task_await(t);
    }
    vic_task_observe(t);
    return 0;
}

static int l_task_gc(lua_State *L)
{
    struct vic_task **box = lua_touserdata(L, 1);

    if (*box)
        vic_task_unref(*box);
    *box = NULL;
    return 0;
}

static void push_view(void *arg, const struct vic_task_view *view)
{
    lua_State *L = arg;

    luaL_checkstack(L, 4, "the list of tasks");
    lua_createtable(L, 0, 5);
    lua_pushstring(L, view->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, view->label);
    lua_setfield(L, -2, "label");
    lua_pushstring(L, view->doing);
    lua_setfield(L, -2, "doing");
    lua_pushnumber(L, view->seconds);
    lua_setfield(L, -2, "seconds");
    lua_pushstring(L, view->traceback);
    lua_setfield(L, -2, "traceback");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/*
 * task.list() -> list
 * Every task, the oldest first. SIGUSR1 writes the same to the log.
 *
 *   name       string   as spawn was told, or "FILE:LINE" of its function
 *   label      string   for whom it works, or nil
 *   doing      string   "runs", "can go on", "waits for WHAT", "has ended, but for goodbyes"
 *   seconds    number   since when
 *   traceback  string   where in Lua; "" if it has ended
 */
static int l_task_list(lua_State *L)
{
    lua_settop(L, 0);
    lua_newtable(L);
    vic_task_each(push_view, L);
    return 1;
}

int vic_open_task(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "cancel", l_task_cancel },
        { "join", l_task_join },
        { "done", l_task_done },
        { NULL, NULL },
    };
    static const luaL_Reg functions[] = {
        { "spawn", l_task_spawn },     { "goodbye", l_task_goodbye },
        { "current", l_task_current }, { "label", l_task_label },
        { "list", l_task_list },       { NULL, NULL },
    };

    luaL_newmetatable(L, HANDLE_TYPE);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_task_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, l_task_close);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);

    luaL_newlib(L, functions);
    vic_task_sync_register(L);
    return 1;
}
