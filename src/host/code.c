/*
 * host.code: what can be told of a compiled Lua function without running it.
 */
#include "globals.h"
#include "host.h"
#include "text.h"
#include "value.h"

#include <lauxlib.h>

#include <string.h>

/* One access to a global, as it stands in the buffer; its name follows, with the NUL. */
struct access {
    int line;
    bool written;
    unsigned char size;
};

/* Must not throw: the buffer is the state's, the reader's memory too. */
static void code_on_global(void *arg, const char *name, int line, bool written)
{
    struct access access = { .line = line, .written = written };

    access.size = (unsigned char)strnlen(name, 255);
    vic_text_add(arg, (const char *)&access, sizeof(access));
    vic_text_add(arg, name, access.size);
}

static void push_access(lua_State *L, const struct access *access, const char *name)
{
    lua_createtable(L, 0, 3);
    lua_pushlstring(L, name, access->size);
    lua_setfield(L, -2, "name");
    lua_pushinteger(L, access->line);
    lua_setfield(L, -2, "line");
    lua_pushboolean(L, access->written);
    lua_setfield(L, -2, "written");
}

/*
 * code.globals(fn) -> list of {name, line, written}
 *
 *   fn       function  of Lua, as load returns it, with its debug information
 *   written  boolean   it is assigned to, not read
 *
 * Each access to a global by name, in fn and in the functions inside it.
 */
static int l_code_globals(lua_State *L)
{
    struct vic_text *text;
    struct access access;
    size_t at = 0, count = 0;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_argcheck(L, !lua_iscfunction(L, 1), 1, "a function of Lua is expected");
    lua_settop(L, 1);
    text = vic_value_text(L);
    lua_pushvalue(L, 1);
    vic_globals(L, code_on_global, text);
    lua_newtable(L);
    while (at < text->size) {
        memcpy(&access, text->data + at, sizeof(access));
        at += sizeof(access);
        push_access(L, &access, text->data + at);
        at += access.size;
        lua_rawseti(L, -2, (lua_Integer)++count);
    }
    return 1;
}

int vic_open_code(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "globals", l_code_globals },
        { NULL, NULL },
    };

    luaL_newlib(L, functions);
    return 1;
}
