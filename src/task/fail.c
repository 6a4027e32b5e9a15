/*
 * fail: err tables.
 */
#include "fail.h"

#include "error.h"
#include "text.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>

#define ERROR_TYPE "vic.error"

static int l_fail_tostring(lua_State *L)
{
    lua_getfield(L, 1, "message");
    luaL_tolstring(L, -1, NULL);
    return 1;
}

void vic_fail_set_type(lua_State *L)
{
    if (luaL_newmetatable(L, ERROR_TYPE)) {
        lua_pushcfunction(L, l_fail_tostring);
        lua_setfield(L, -2, "__tostring");
        lua_pushliteral(L, ERROR_TYPE);
        lua_setfield(L, -2, "__name");
    }
    lua_setmetatable(L, -2);
}

/* Pushes text in which each byte that is not UTF-8 is replaced by U+FFFD. */
static void fail_push_utf8(lua_State *L, const char *s, size_t len)
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

void vic_fail_set_message(lua_State *L)
{
    size_t len;
    const char *message = lua_tolstring(L, -1, &len);

    fail_push_utf8(L, message, len);
    lua_setfield(L, -3, "message");
    lua_pop(L, 1);
}

void vic_fail_push(lua_State *L, const struct vic_error *err)
{
    lua_createtable(L, 0, 4);
    lua_pushstring(L, vic_error_kind_name(err->kind));
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, err->message);
    vic_fail_set_message(L);
    vic_fail_set_type(L);
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
