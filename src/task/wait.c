/*
 * wait: the box between a coroutine and the loop. See wait.h for who frees.
 */
#include "wait.h"

#include <lauxlib.h>

#include <stdarg.h>
#include <stdio.h>

#define BOX_TYPE "vic.wait"

static const struct vic_wait_scheduler *wait_scheduler;

/* Both __close and __gc; runs once per wait whatever the way out. */
static int l_box_close(lua_State *L)
{
    struct vic_wait **box = luaL_checkudata(L, 1, BOX_TYPE);
    struct vic_wait *w = *box;

    *box = NULL;
    if (!w)
        return 0;

    w->co = NULL;
    if (!w->pending)
        w->free(w);
    else if (w->cancel)
        w->cancel(w);
    return 0;
}

void vic_wait_init(lua_State *L, const struct vic_wait_scheduler *scheduler)
{
    static const luaL_Reg meta[] = {
        { "__close", l_box_close },
        { "__gc", l_box_close },
        { NULL, NULL },
    };

    wait_scheduler = scheduler;
    luaL_newmetatable(L, BOX_TYPE);
    luaL_setfuncs(L, meta, 0);
    lua_pop(L, 1);
}

struct vic_wait **vic_wait_box(lua_State *L)
{
    struct vic_wait **box = lua_newuserdatauv(L, sizeof(*box), 0);

    *box = NULL;
    luaL_setmetatable(L, BOX_TYPE);
    lua_toclose(L, -1);
    return box;
}

void vic_wait_what(struct vic_wait *w, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(w->what, sizeof(w->what), fmt, ap);
    va_end(ap);
}

int vic_wait_for(lua_State *L, struct vic_wait **box, lua_KFunction k)
{
    (*box)->co = L;
    (*box)->pending = true;
    wait_scheduler->waits(L, *box);
    return lua_yieldk(L, 0, (lua_KContext)*box, k);
}

void vic_wait_done(struct vic_wait *w)
{
    w->pending = false;
    if (w->co)
        wait_scheduler->ready(w->co);
    else
        w->free(w);
}
