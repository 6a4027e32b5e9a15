/*
 * host.error: err tables, made and changed in Lua.
 */
#include "error.h"

#include "fail.h"
#include "host.h"

#include <lauxlib.h>

#include <stdbool.h>
#include <string.h>

/* Copies the fields of the table at `from` into the table on top. */
static void error_copy_fields(lua_State *L, int from)
{
    from = lua_absindex(L, from);
    for (lua_pushnil(L); lua_next(L, from);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
}

/*
 * error.new(kind, message, fields?) -> err
 *
 *   kind     string  one of base/error.h
 *   message  string  what was attempted, on what, what came back
 *   fields   table   more for err, e.g. {candidates = {...}}
 */
static int l_error_new(lua_State *L)
{
    const char *kind = luaL_checkstring(L, 1);

    luaL_checkstring(L, 2);
    luaL_argcheck(L, vic_error_kind_of(kind) != VIC_INTERNAL || kind[0] == 'i', 1,
                  "not a kind of error");
    lua_createtable(L, 0, 4);
    if (lua_istable(L, 3))
        error_copy_fields(L, 3);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "kind");
    lua_pushvalue(L, 2);
    vic_fail_set_message(L);
    vic_fail_set_type(L);
    return 1;
}

/* Pushes an err for the value at `index`: a copy of an err, or an internal one. */
static void error_push(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    lua_createtable(L, 0, 4);
    if (lua_istable(L, index)) {
        error_copy_fields(L, index);
    } else {
        lua_pushliteral(L, "internal");
        lua_setfield(L, -2, "kind");
        luaL_tolstring(L, index, NULL);
        vic_fail_set_message(L);
    }
    vic_fail_set_type(L);
}

/* Whether one of the contexts that a message begins with, "a: b: what", is this one. */
static bool error_has_context(const char *message, const char *context)
{
    size_t len = strlen(context);
    const char *at;

    for (at = message; at; at = strstr(at, ": "), at = at ? at + 2 : NULL)
        if (strncmp(at, context, len) == 0 && strncmp(at + len, ": ", 2) == 0)
            return true;
    return false;
}

/*
 * error.wrap(err, context) -> err
 * A copy of `err` whose message is "context: message"; one that stands there already is
 * not said twice. A string that was thrown becomes an err of kind internal.
 */
static int l_error_wrap(lua_State *L)
{
    luaL_checkany(L, 1);
    luaL_checkstring(L, 2);
    error_push(L, 1);
    lua_pushvalue(L, 2);
    lua_pushliteral(L, ": ");
    lua_getfield(L, -3, "message");
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    /* [err, context, ": ", message] */
    if (error_has_context(lua_tostring(L, -1), lua_tostring(L, 2))) {
        lua_pop(L, 3);
        return 1;
    }
    lua_concat(L, 3);
    vic_fail_set_message(L);
    return 1;
}

/*
 * error.final(err) -> err
 * A copy with err.final = true: trying again cannot cure it.
 */
static int l_error_final(lua_State *L)
{
    luaL_checkany(L, 1);
    error_push(L, 1);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "final");
    return 1;
}

/*
 * error.of(value) -> err
 * Whatever was thrown, as an err: an err is returned as it is.
 */
static int l_error_of(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_istable(L, 1))
        lua_settop(L, 1);
    else
        error_push(L, 1);
    return 1;
}

int vic_open_error(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "new", l_error_new }, { "wrap", l_error_wrap }, { "final", l_error_final },
        { "of", l_error_of },   { NULL, NULL },
    };

    luaL_newlib(L, functions);
    return 1;
}
