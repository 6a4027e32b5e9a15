/*
 * task: the scheduler.
 */
#include "task.h"

#include "alloc.h"
#include "clock.h"
#include "error.h"
#include "fail.h"
#include "sync.h"
#include "task_failure.h"
#include "task_state.h"
#include "wait.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static struct {
    lua_State *L;
    uv_idle_t idle;           /* active while somebody is ready */
    struct vic_task *ready;   /* a list, first to last */
    struct vic_task *all;     /* not settled */
    struct vic_task *current; /* runs now */
    struct vic_task *closing; /* its closing values run now */
} sched;

static struct vic_task *task_of(lua_State *co)
{
    return *(struct vic_task **)lua_getextraspace(co);
}

void vic_task_unref(struct vic_task *t)
{
    if (--t->refs > 0)
        return;
    if (t->done)
        vic_task_report(t);
    luaL_unref(sched.L, LUA_REGISTRYINDEX, t->ref);
    vic_sync_unref(t->settled);
    free(t->name);
    free(t->label);
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
    t->since = vic_now();
    t->refs++;
}

/* Ends with vic_task_release(), whose parents it may settle in turn. */
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
    if (parent) /* t holds a reference to it: it is still there */
        vic_task_release(parent);
}

/* It has failed, is cancelled or got lost: closes what it holds; leaves an err on co. */
static void task_unwind(struct vic_task *t, int status)
{
    struct vic_task *before = sched.closing;
    struct vic_error err;

    if (status != LUA_YIELD && status != LUA_OK)
        vic_task_explain(t->co);
    sched.closing = t;
    status = lua_resetthread(t->co);
    sched.closing = before;
    if (status != LUA_OK) {
        vic_task_explain(t->co);
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
    t->wait = NULL;
    t->since = vic_now();
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
    t->since = vic_now();
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
        vic_task_unref(t); /* the queue's: NOLINT(clang-analyzer-unix.Malloc) */
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

/* Whose goodbye or child a new task is. */
static struct vic_task *task_origin(void)
{
    return sched.closing ? sched.closing : sched.current;
}

void vic_task_set_label(const char *label)
{
    struct vic_task *t = task_origin();

    if (!t)
        return;
    free(t->label);
    t->label = label ? vic_strdup(label) : NULL;
}

const char *vic_task_label(void)
{
    const struct vic_task *t = task_origin();

    return t ? t->label : NULL;
}

/* "FILE:LINE" of the function below its `nargs` arguments; to be freed. */
static char *task_place(lua_State *L, int nargs)
{
    lua_Debug where;
    char place[LUA_IDSIZE + 16];

    lua_pushvalue(L, -nargs - 1);
    lua_getinfo(L, ">S", &where);
    snprintf(place, sizeof(place), "%s:%d", where.short_src, where.linedefined);
    return vic_strdup(place);
}

struct vic_task *vic_task_spawn(lua_State *L, const char *name, int nargs)
{
    struct vic_task *t = vic_alloc(sizeof(*t));
    const char *label = vic_task_label();

    lua_checkstack(L, 2);
    t->name = name ? vic_strdup(name) : task_place(L, nargs);
    t->co = lua_newthread(L);
    *(struct vic_task **)lua_getextraspace(t->co) = t;
    t->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_checkstack(t->co, nargs + LUA_MINSTACK);
    lua_xmove(L, t->co, nargs + 1);
    t->settled = vic_sync_new(0);
    t->label = label ? vic_strdup(label) : NULL;
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

/* It was waiting and can go on. */
static void task_ready(lua_State *co)
{
    task_schedule(task_of(co));
}

/* It is about to yield. */
static void task_waits(lua_State *co, const struct vic_wait *w)
{
    if (!sched.current || sched.current->co != co || sched.closing) {
        luaL_error(co, "attempt to wait outside a task");
        return;
    }
    sched.current->waiting = true;
    sched.current->wait = w;
    sched.current->since = vic_now();
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

struct vic_task *vic_task_current(void)
{
    return sched.current;
}

const char *vic_task_name(const struct vic_task *t)
{
    return t->name;
}

lua_State *vic_task_state(void)
{
    return sched.L;
}

struct vic_task *vic_task_latest(void)
{
    return sched.all;
}

void vic_task_ref(struct vic_task *t)
{
    t->refs++;
}

void vic_task_say_goodbye(struct vic_task *t)
{
    t->is_goodbye = true;
    vic_task_await(t);
}

struct vic_task *vic_task_hold(void)
{
    struct vic_task *t = task_origin();

    if (t) {
        t->goodbyes++;
        t->refs++;
    }
    return t;
}

void vic_task_release(struct vic_task *t)
{
    t->goodbyes--;
    task_settle(t);
    vic_task_unref(t); /* NOLINT(clang-analyzer-unix.Malloc) */
}

void vic_task_await(struct vic_task *t)
{
    task_adopt(task_origin(), t);
}

void vic_task_observe(struct vic_task *t)
{
    t->observed = true;
}

struct vic_sync *vic_task_end(struct vic_task *t)
{
    return t->settled;
}

void vic_task_init(lua_State *L)
{
    static const struct vic_wait_scheduler SCHEDULER = { task_waits, task_ready };

    vic_wait_init(L, &SCHEDULER);
    sched.L = L;
    *(struct vic_task **)lua_getextraspace(L) = NULL;
    uv_idle_init(uv_default_loop(), &sched.idle);
}

void vic_task_fini(void)
{
    uv_close((uv_handle_t *)&sched.idle, NULL);
}
