/*
 * task_failure: see task_failure.h.
 */
#include "task_failure.h"

#include "error.h"
#include "fail.h"
#include "log.h"

#include <lauxlib.h>

void vic_task_explain(lua_State *co)
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

void vic_task_report(struct vic_task *t)
{
    if (t->ok || t->observed || !lua_istable(t->co, -1))
        return;
    lua_getfield(t->co, -1, "kind");
    if (lua_tostring(t->co, -1) &&
        vic_error_kind_of(lua_tostring(t->co, -1)) != VIC_CANCELLED) {
        lua_getfield(t->co, -2, "message");
        lua_getfield(t->co, -3, "traceback");
        vic_log(VIC_LOG_ERROR, "a task failed: %s %s", luaL_tolstring(t->co, -2, NULL),
                lua_isstring(t->co, -2) ? lua_tostring(t->co, -2) : "");
    }
}
