/*
 * disk_renewal: see disk_renewal.h.
 */
#include "disk_renewal.h"

#include "renewal.h"

#include <lauxlib.h>

#include <string.h>

#define RENEWAL_TYPE "disk.headers"

struct vic_renewal *vic_renewal_check(lua_State *L, int index)
{
    return *(struct vic_renewal **)luaL_checkudata(L, index, RENEWAL_TYPE);
}

const char *const *vic_disk_headers(lua_State *L)
{
    int table = lua_gettop(L);
    size_t count = 0;
    const char **list;
    size_t i = 0;

    if (lua_isnil(L, table))
        return NULL;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
        count++;
    list = lua_newuserdatauv(L, (count + 1) * sizeof(*list), 1);
    lua_createtable(L, (int)count, 0); /* keeps the strings */
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        /* [headers, list, strings, name, value] */
        const char *value;

        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "option 'headers': names must be strings");
        value = luaL_tolstring(L, -1, NULL);
        lua_pushfstring(L, "%s: %s", lua_tostring(L, -3), value);
        list[i++] = lua_tostring(L, -1);
        lua_rawseti(L, table + 2, (lua_Integer)i);
        lua_pop(L, 1);
    }
    list[i] = NULL;
    lua_setiuservalue(L, -2, 1);
    return list;
}

/* Takes the table at `index`. */
static void set(lua_State *L, struct vic_renewal *renewal, int index)
{
    const char *const *list;
    const char *const *one;

    luaL_checktype(L, index, LUA_TTABLE);
    lua_pushvalue(L, index);
    list = vic_disk_headers(L);
    for (one = list; *one; one++)
        if (strpbrk(*one, "\r\n"))
            luaL_error(L, "a header with a line break");
    vic_renewal_set(renewal, list);
}

/*
 * disk.headers(table) -> headers
 *
 * What the requests for a disk carry besides, for opts.source.renewal of disk.transfer and
 * disk.stream; as many of these may share it as like.
 *
 *   table  name -> value; never printed
 */
int vic_l_disk_headers(lua_State *L)
{
    struct vic_renewal **box;

    lua_settop(L, 1);
    box = lua_newuserdatauv(L, sizeof(*box), 0);
    *box = vic_renewal_new();
    luaL_setmetatable(L, RENEWAL_TYPE);
    set(L, *box, 1);
    lua_settop(L, 2);
    return 1;
}

/*
 * headers:set(table)
 * From now on these: whoever waits for others goes on.
 */
static int l_headers_set(lua_State *L)
{
    set(L, vic_renewal_check(L, 1), 2);
    return 0;
}

/*
 * headers:refused() -> boolean
 * Whether a server has answered 401 to those that are in force.
 */
static int l_headers_refused(lua_State *L)
{
    lua_pushboolean(L, vic_renewal_refused(vic_renewal_check(L, 1)));
    return 1;
}

static int l_headers_gc(lua_State *L)
{
    struct vic_renewal **box = luaL_checkudata(L, 1, RENEWAL_TYPE);

    vic_renewal_unref(*box);
    *box = NULL;
    return 0;
}

void vic_renewal_register(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "refused", l_headers_refused },
        { "set", l_headers_set },
        { "__gc", l_headers_gc },
        { NULL, NULL },
    };

    luaL_newmetatable(L, RENEWAL_TYPE);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
