/*
 * fail: err tables, and host.error for Lua.
 */
#include "fail.h"

#include "error.h"
#include "host.h"
#include "text.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ERROR_TYPE "vic.error"

static int l_error_tostring(lua_State *L)
{
    lua_getfield(L, 1, "message");
    luaL_tolstring(L, -1, NULL);
    return 1;
}

/* Gives the table on top the metatable of errors. */
static void set_error_type(lua_State *L)
{
    if (luaL_newmetatable(L, ERROR_TYPE)) {
        lua_pushcfunction(L, l_error_tostring);
        lua_setfield(L, -2, "__tostring");
        lua_pushliteral(L, ERROR_TYPE);
        lua_setfield(L, -2, "__name");
    }
    lua_setmetatable(L, -2);
}

/* Pushes text in which each byte that is not UTF-8 is replaced by U+FFFD. */
static void push_utf8(lua_State *L, const char *s, size_t len)
{
    size_t valid = vic_utf8_valid(s, len);
    luaL_Buffer out;

    if (valid == len) {
        lua_pushlstring(L, s, len);
        return;
    }
    luaL_buffinit(L, &out);
    for (; valid < len; valid = vic_utf8_valid(s, len)) {
        luaL_addlstring(&out, s, valid);
        luaL_addstring(&out, "\xef\xbf\xbd"); /* U+FFFD */
        s += valid + 1;
        len -= valid + 1;
    }
    luaL_addlstring(&out, s, len);
    luaL_pushresult(&out);
}

/* Takes the message from the top and gives it to the table below, as UTF-8: a message
 * that was cut, or quotes what a server said, must still fit into a status. */
static void set_message(lua_State *L)
{
    size_t len;
    const char *message = lua_tolstring(L, -1, &len);

    push_utf8(L, message, len);
    lua_setfield(L, -3, "message");
    lua_pop(L, 1);
}

void vic_fail_push(lua_State *L, const struct vic_error *err)
{
    lua_createtable(L, 0, 4);
    lua_pushstring(L, vic_error_kind_name(err->kind));
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, err->message);
    set_message(L);
    set_error_type(L);
}

int vic_fail_error(lua_State *L, const struct vic_error *err)
{
    lua_pushnil(L);
    vic_fail_push(L, err);
    return 2;
}

int vic_fail(lua_State *L, const char *kind, const char *fmt, ...)
{
    struct vic_error err;
    va_list ap;

    err.kind = vic_error_kind_of(kind);
    va_start(ap, fmt);
    vsnprintf(err.message, sizeof(err.message), fmt, ap);
    va_end(ap);
    return vic_fail_error(L, &err);
}

/* Copies the fields of the table at `from` into the table on top. */
static void copy_fields(lua_State *L, int from)
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
        copy_fields(L, 3);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "kind");
    lua_pushvalue(L, 2);
    set_message(L);
    set_error_type(L);
    return 1;
}

/* Pushes an err for the value at `index`: a copy of an err, or an internal one. */
static void push_as_error(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    lua_createtable(L, 0, 4);
    if (lua_istable(L, index)) {
        copy_fields(L, index);
    } else {
        lua_pushliteral(L, "internal");
        lua_setfield(L, -2, "kind");
        luaL_tolstring(L, index, NULL);
        set_message(L);
    }
    set_error_type(L);
}

/* Whether one of the contexts that a message begins with, "a: b: what", is this one. */
static bool has_context(const char *message, const char *context)
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
    push_as_error(L, 1);
    lua_pushvalue(L, 2);
    lua_pushliteral(L, ": ");
    lua_getfield(L, -3, "message");
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    /* [err, context, ": ", message] */
    if (has_context(lua_tostring(L, -1), lua_tostring(L, 2))) {
        lua_pop(L, 3);
        return 1;
    }
    lua_concat(L, 3);
    set_message(L);
    return 1;
}

/*
 * error.final(err) -> err
 * A copy with err.final = true: trying again cannot cure it.
 */
static int l_error_final(lua_State *L)
{
    luaL_checkany(L, 1);
    push_as_error(L, 1);
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
        push_as_error(L, 1);
    return 1;
}

int vic_open_error(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "new", l_error_new },
        { "wrap", l_error_wrap },
        { "final", l_error_final },
        { "of", l_error_of },
        { NULL, NULL },
    };

    luaL_newlib(L, functions);
    return 1;
}
