/*
 * options: see options.h.
 */
#include "options.h"

#include <lauxlib.h>

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static void wrong(lua_State *L, const char *name, const char *expected)
{
    luaL_error(L, "option '%s': %s expected, got %s", name, expected,
               luaL_typename(L, -1));
}

static lua_Integer options_read_integer(lua_State *L, const char *name)
{
    int is_integer;
    lua_Integer value = lua_tointegerx(L, -1, &is_integer);

    if (!is_integer || value < 0)
        wrong(L, name, "a whole number of 0 or more");
    return value;
}

static struct vic_bytes read_bytes(lua_State *L, const char *name)
{
    struct vic_bytes bytes;

    /* Numbers are not taken for strings: converting would not change the table's. */
    if (lua_type(L, -1) != LUA_TSTRING)
        wrong(L, name, "string");
    bytes.data = lua_tolstring(L, -1, &bytes.size);
    return bytes;
}

static const char *options_read_string(lua_State *L, const char *name)
{
    struct vic_bytes bytes = read_bytes(L, name);

    if (memchr(bytes.data, '\0', bytes.size))
        luaL_error(L, "option '%s': a zero byte inside", name);
    return bytes.data;
}

static double read_seconds(lua_State *L, const char *name)
{
    double value = lua_tonumber(L, -1);

    if (lua_type(L, -1) != LUA_TNUMBER || !(value >= 0))
        wrong(L, name, "seconds");
    return value;
}

/* The value is on top of the stack. */
static void read_one(lua_State *L, const struct vic_option *option, void *field)
{
    switch (option->type) {
    case VIC_OPTION_STRING:
        *(const char **)field = options_read_string(L, option->name);
        break;
    case VIC_OPTION_BYTES:
        *(struct vic_bytes *)field = read_bytes(L, option->name);
        break;
    case VIC_OPTION_SECONDS:
        *(double *)field = read_seconds(L, option->name);
        break;
    case VIC_OPTION_SIZE:
        *(size_t *)field = (size_t)options_read_integer(L, option->name);
        break;
    case VIC_OPTION_UNSIGNED: {
        lua_Integer value = options_read_integer(L, option->name);

        *(unsigned *)field = value < UINT_MAX ? (unsigned)value : UINT_MAX;
        break;
    }
    case VIC_OPTION_PORT: {
        lua_Integer value = options_read_integer(L, option->name);

        if (value > UINT16_MAX)
            wrong(L, option->name, "a port");
        *(uint16_t *)field = (uint16_t)value;
        break;
    }
    case VIC_OPTION_BOOL:
        *(bool *)field = lua_toboolean(L, -1);
        break;
    case VIC_OPTION_OTHER:
        break;
    }
}

static const struct vic_option *options_find(const struct vic_option *list,
                                             const char *name)
{
    for (; list->name; list++)
        if (strcmp(list->name, name) == 0)
            return list;
    return NULL;
}

void vic_options_read(lua_State *L, int index, const struct vic_option *list, void *into)
{
    if (lua_isnoneornil(L, index))
        return;
    luaL_checktype(L, index, LUA_TTABLE);
    index = lua_absindex(L, index);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        const struct vic_option *option = options_find(list, name);

        if (!option) {
            luaL_error(L, "unknown option '%s'", name);
            return; /* not reached */
        }
        read_one(L, option, (char *)into + option->offset);
    }
}
