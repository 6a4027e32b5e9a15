/*
 * task: the scheduler, and host.task's spawn, cancel and join.
 */
#include "task.h"

#include "alloc.h"
#include "error.h"
#include "fail.h"
#include "host.h"
#include "log.h"
#include "sync.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <uv.h>

#define HANDLE_TYPE "host.task"

struct vic_task {
    lua_State *co;
    int ref;                 /* of co in the registry */
    int results;             /* values on top of co once it has returned */
    unsigned refs;
    unsigned goodbyes;       /* not yet settled ones */
    struct vic_task *parent; /* whose goodbye this is */
    struct vic_task *next_ready;
    struct vic_task *prev, *next; /* all that are not settled */
    struct vic_sync *settled;     /* wakes who waits for the end */
    bool started, queued, waiting, cancel, done, ok, is_settled;
    bool is_goodbye; /* exit does not cancel it */
    bool observed;   /* somebody asked for the result */
};

static struct {
    lua_State *L;
    uv_idle_t idle;            /* active while somebody is ready */
    struct vic_task *ready;    /* a list, first to last */
    struct vic_task *all;      /* not settled */
    struct vic_task *current;  /* runs now */
    struct vic_task *closing;  /* its closing values run now */
} sched;

static struct vic_task *task_of(lua_State *co)
{
    return *(struct vic_task **)lua_getextraspace(co);
}

/* A failure that nobody ever asked for must not pass in silence. */
static void task_report(struct vic_task *t)
{
    if (t->ok || t->observed || !lua_istable(t->co, -1))
        return;
    lua_getfield(t->co, -1, "kind");
    if (lua_tostring(t->co, -1)
        && vic_error_kind_of(lua_tostring(t->co, -1)) != VIC_CANCELLED) {
        lua_getfield(t->co, -2, "message");
        lua_getfield(t->co, -3, "traceback");
        vic_log(VIC_LOG_ERROR, "a task failed: %s %s", luaL_tolstring(t->co, -2, NULL),
                lua_isstring(t->co, -2) ? lua_tostring(t->co, -2) : "");
    }
}

void vic_task_unref(struct vic_task *t)
{
    if (--t->refs > 0)
        return;
    if (t->done)
        task_report(t);
    luaL_unref(sched.L, LUA_REGISTRYINDEX, t->ref);
    vic_sync_unref(t->settled);
    free(t);
}

static void task_queue(struct vic_task *t)
{
    struct vic_task **p = &sched.ready;

    if (t->queued || t->done)
        return;
    while (*p)
        p = &(*p)->next_ready;
    *p = t;
    t->next_ready = NULL;
    t->queued = true;
    t->refs++;
}

static void task_settle(struct vic_task *t)
{
    struct vic_task *parent = t->parent;

    if (!t->done || t->goodbyes > 0 || t->is_settled)
        return;
    t->is_settled = true;
    if (t->prev)
        t->prev->next = t->next;
    else
        sched.all = t->next;
    if (t->next)
        t->next->prev = t->prev;
    vic_sync_wake_all(t->settled);
    vic_task_unref(t);
    if (parent) {
        parent->goodbyes--;
        task_settle(parent);
        vic_task_unref(parent);
    }
}

/* Turns a thrown string on top of co into an err with the traceback. */
static void task_explain(lua_State *co)
{
    struct vic_error err = { VIC_INTERNAL, "" };
    const char *text;

    if (!lua_checkstack(co, LUA_MINSTACK) || lua_istable(co, -1))
        return;
    text = luaL_tolstring(co, -1, NULL);
    vic_error_set(&err, VIC_INTERNAL, "%s", text);
    vic_fail_push(co, &err);
    luaL_traceback(co, co, NULL, 0);
    lua_setfield(co, -2, "traceback");
}

/* It has failed, is cancelled or got lost: closes what it holds; leaves an err on co. */
static void task_unwind(struct vic_task *t, int status)
{
    struct vic_task *before = sched.closing;
    struct vic_error err;

    if (status != LUA_YIELD && status != LUA_OK)
        task_explain(t->co);
    sched.closing = t;
    status = lua_resetthread(t->co);
    sched.closing = before;
    if (status != LUA_OK) {
        task_explain(t->co);
        return;
    }
    if (t->cancel)
        vic_error_set(&err, VIC_CANCELLED, "cancelled");
    else
        vic_error_set(&err, VIC_INTERNAL,
                      "yielded without a wait: use host.task, not coroutine");
    vic_fail_push(t->co, &err);
}

/* Runs it until it waits or ends. */
static void task_run(struct vic_task *t)
{
    struct vic_task *before = sched.current;
    int status = LUA_YIELD;
    int n = 0;

    if (t->done)
        return;
    if (!t->cancel) {
        sched.current = t;
        t->waiting = false;
        status = lua_resume(t->co, sched.L, t->started ? 0 : lua_gettop(t->co) - 1, &n);
        t->started = true;
        sched.current = before;
    }
    if (status == LUA_YIELD && !t->cancel && t->waiting) {
        lua_pop(t->co, n);
        return;
    }
    t->ok = status == LUA_OK;
    if (t->ok)
        t->results = n;
    else
        task_unwind(t, status);
    t->done = true;
    task_settle(t);
}

static void ready_run(uv_idle_t *idle)
{
    struct vic_task *batch = sched.ready;
    struct vic_task *t;

    /* Only who is ready now: one that stays ready must not starve the loop. */
    sched.ready = NULL;
    while ((t = batch)) {
        batch = t->next_ready;
        t->next_ready = NULL;
        t->queued = false;
        task_run(t);
        vic_task_unref(t);
    }
    if (!sched.ready)
        uv_idle_stop(idle);
}

static void task_schedule(struct vic_task *t)
{
    task_queue(t);
    uv_idle_start(&sched.idle, ready_run);
}

/* Makes `t` a goodbye of `parent`, unless that would close a circle. */
static void task_adopt(struct vic_task *parent, struct vic_task *t)
{
    const struct vic_task *p;

    if (!parent || t->parent || t->is_settled)
        return;
    for (p = parent; p; p = p->parent)
        if (p == t)
            return;
    t->parent = parent;
    parent->goodbyes++;
    parent->refs++;
}

struct vic_task *vic_task_spawn(lua_State *L, int nargs)
{
    struct vic_task *t = vic_alloc(sizeof(*t));

    lua_checkstack(L, 2);
    t->co = lua_newthread(L);
    *(struct vic_task **)lua_getextraspace(t->co) = t;
    t->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_checkstack(t->co, nargs + LUA_MINSTACK);
    lua_xmove(L, t->co, nargs + 1);
    t->settled = vic_sync_new(0);
    t->refs = 2; /* the caller's, and that of being alive */
    t->next = sched.all;
    if (sched.all)
        sched.all->prev = t;
    sched.all = t;
    if (sched.closing) {
        t->is_goodbye = true;
        task_adopt(sched.closing, t);
    }
    task_schedule(t);
    return t;
}

void vic_task_ready(lua_State *co)
{
    task_schedule(task_of(co));
}

void vic_task_check_waiting(lua_State *L)
{
    if (!sched.current || sched.current->co != L || sched.closing)
        luaL_error(L, "attempt to wait outside a task");
    sched.current->waiting = true;
}

void vic_task_cancel(struct vic_task *t)
{
    if (t->done)
        return;
    t->cancel = true;
    if (t != sched.current)
        task_schedule(t);
}

void vic_task_cancel_all(void)
{
    struct vic_task *t;

    for (t = sched.all; t; t = t->next)
        if (!t->is_goodbye)
            vic_task_cancel(t);
}

bool vic_task_settled(const struct vic_task *t)
{
    return t->is_settled;
}

bool vic_task_none(void)
{
    return !sched.all;
}

bool vic_task_results(struct vic_task *t, lua_State *L, int *n)
{
    int i;

    t->observed = true;
    *n = t->ok ? t->results : 1;
    luaL_checkstack(L, *n, "too many results");
    for (i = *n; i > 0; i--)
        lua_pushvalue(t->co, -*n);
    lua_xmove(t->co, L, *n);
    return t->ok;
}

/* ---- host.task ---- */

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
    int nargs = lua_gettop(L) - 1;
    struct vic_task **box;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    box = push_handle(L);
    lua_insert(L, 1);
    *box = vic_task_spawn(L, nargs);
    if (goodbye) {
        (*box)->is_goodbye = true;
        task_adopt(sched.closing ? sched.closing : sched.current, *box);
    }
    return 1;
}

/*
 * task.spawn(f, ...) -> task
 * Runs f(...) as a task of its own. From a closing value of a task that is being
 * cancelled it is a goodbye.
 */
static int l_task_spawn(lua_State *L)
{
    return spawn(L, false);
}

/*
 * task.goodbye(f, ...) -> task
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

    if (!sched.current)
        return 0;
    box = push_handle(L);
    *box = sched.current;
    (*box)->refs++;
    return 1;
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
    t->observed = true;
    if (!t->is_settled && t != sched.current && timeout != 0)
        return vic_sync_wait(L, t->settled, timeout, cancel_result);
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

    t->observed = true;
    if (t->is_settled)
        return join_push(L, t);
    return vic_sync_wait(L, t->settled, timeout, join_result);
}

/*
 * task:done() -> boolean
 */
static int l_task_done(lua_State *L)
{
    lua_pushboolean(L, check_task(L)->is_settled);
    return 1;
}

/* `local t <close> = task.spawn(...)`: cancels; its end is a goodbye of the closer. */
static int l_task_close(lua_State *L)
{
    struct vic_task *t = check_task(L);

    if (!t->done) {
        vic_task_cancel(t);
        task_adopt(sched.closing ? sched.closing : sched.current, t);
    }
    t->observed = true;
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

void vic_task_init(lua_State *L)
{
    sched.L = L;
    *(struct vic_task **)lua_getextraspace(L) = NULL;
    uv_idle_init(uv_default_loop(), &sched.idle);
}

void vic_task_fini(void)
{
    uv_close((uv_handle_t *)&sched.idle, NULL);
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
        { "spawn", l_task_spawn },
        { "goodbye", l_task_goodbye },
        { "current", l_task_current },
        { NULL, NULL },
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
    vic_sync_register(L);
    return 1;
}
