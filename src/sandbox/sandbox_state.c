/*
 * sandbox_state: libraries are opened whole, then what is not for scripts is taken out.
 */
#include "sandbox_state.h"

#include "text.h"
#include "value.h"

#include <lauxlib.h>
#include <lualib.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_LINES 50
#define LOG_BYTES 1000 /* of one line */

/* All that is left of the globals; NULL ends it. */
static const char *const GLOBALS[] = {
    "_G",       "_VERSION",     "assert",   "error",    "getmetatable", "ipairs",
    "json",     "log",          "math",     "next",     "pairs",        "pcall",
    "rawequal", "rawget",       "rawlen",   "rawset",   "select",       "string",
    "table",    "setmetatable", "tonumber", "tostring", "type",         "utf8",
    "xpcall",   NULL,
};

/* lua_Alloc with a limit; only growth is refused. */
static void *budget_alloc(void *arg, void *block, size_t old, size_t size)
{
    struct vic_budget *budget = arg;
    size_t before = block ? old : 0;
    void *result;

    if (size == 0) {
        free(block);
        budget->used -= before;
        return NULL;
    }
    if (size > before && size - before > budget->most - budget->used)
        return NULL;
    result = realloc(block, size);
    if (result)
        budget->used = budget->used - before + size;
    return result;
}

/* An error that nothing protects: there is no answer to give. */
static int l_panic(lua_State *L)
{
    (void)L;
    _exit(1);
}

lua_State *vic_sandbox_state(struct vic_budget *budget)
{
    lua_State *L = lua_newstate(budget_alloc, budget);

    if (L)
        lua_atpanic(L, l_panic);
    return L;
}

int vic_sandbox_knows(const char *name)
{
    const char *const *known;

    for (known = GLOBALS; *known; known++)
        if (strcmp(*known, name) == 0)
            return 1;
    return 0;
}

/* As Lua's, but no finalizers: they would run where no limit of ours looks. */
static int l_setmetatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "__gc is not available");
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

static int l_unknown(lua_State *L)
{
    return luaL_error(L, "unknown global '%s'", luaL_tolstring(L, 2, NULL));
}

static int l_no_globals(lua_State *L)
{
    return luaL_error(L, "global '%s' cannot be made; say local",
                      luaL_tolstring(L, 2, NULL));
}

/* log.LEVEL(message): upvalues the level and where it goes. */
static int l_log(lua_State *L)
{
    struct vic_sandbox_log *log = lua_touserdata(L, lua_upvalueindex(2));
    const char *level = lua_tostring(L, lua_upvalueindex(1));
    size_t len;
    const char *message = luaL_tolstring(L, 1, &len);

    if (log->count == LOG_LINES)
        return 0;
    vic_text_puts(log->lines, log->count++ ? ",{\"level\":\"" : "{\"level\":\"");
    vic_text_puts(log->lines, level);
    vic_text_puts(log->lines, "\",\"message\":");
    vic_text_json(log->lines, message, len, LOG_BYTES);
    vic_text_char(log->lines, '}');
    return 0;
}

static void open_log(lua_State *L, struct vic_sandbox_log *log)
{
    static const char *const levels[] = { "debug", "info", "warn", "error" };
    size_t i;

    lua_newtable(L);
    for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        lua_pushstring(L, levels[i]);
        lua_pushlightuserdata(L, log);
        lua_pushcclosure(L, l_log, 2);
        lua_setfield(L, -2, levels[i]);
    }
    lua_setglobal(L, "log");
}

/* json.array, as our own code has it. Its mark is nobody's to change. */
static void open_json(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, vic_l_value_array);
    lua_setfield(L, -2, "array");
    lua_newtable(L);
    vic_value_mark(L);
    lua_getmetatable(L, -1);
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
    lua_setglobal(L, "json");
}

static void remove_field(lua_State *L, const char *library, const char *field)
{
    lua_getglobal(L, library);
    lua_pushnil(L);
    lua_setfield(L, -2, field);
    lua_pop(L, 1);
}

static void remove_globals(lua_State *L)
{
    lua_pushglobaltable(L);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (vic_sandbox_knows(lua_tostring(L, -2)))
            continue;
        lua_pushvalue(L, -2);
        lua_pushnil(L);
        lua_rawset(L, -5);
    }
    lua_pop(L, 1);
}

/* metatable.__metatable = false for the value on top, which is popped. */
static void protect(lua_State *L)
{
    lua_getmetatable(L, -1);
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}

static void make_strict(lua_State *L)
{
    lua_pushglobaltable(L);
    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, l_unknown);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_no_globals);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
    protect(L);
}

void vic_sandbox_open(lua_State *L, struct vic_sandbox_log *log)
{
    static const luaL_Reg libraries[] = {
        { LUA_GNAME, luaopen_base },        { LUA_TABLIBNAME, luaopen_table },
        { LUA_STRLIBNAME, luaopen_string }, { LUA_MATHLIBNAME, luaopen_math },
        { LUA_UTF8LIBNAME, luaopen_utf8 },  { NULL, NULL },
    };
    const luaL_Reg *library;

    for (library = libraries; library->name; library++) {
        luaL_requiref(L, library->name, library->func, 1);
        lua_pop(L, 1);
    }
    remove_field(L, "string", "dump");
    remove_field(L, "math", "random"); /* a plan must not depend on luck */
    remove_field(L, "math", "randomseed");
    open_log(L, log);
    open_json(L);
    lua_pushcfunction(L, l_setmetatable);
    lua_setglobal(L, "setmetatable");
    remove_globals(L);
    lua_pushliteral(L, "");
    protect(L);
    make_strict(L);
}
