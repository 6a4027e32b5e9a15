/*
 * lua_host: a Lua state as the program has it, for targets that give their input to a
 * function written in Lua: the one that spec/fuzz/NAME.lua returns.
 *
 * Whatever comes, it returns: a throw is found. What Lua does counts as coverage, line by
 * line, so that libFuzzer sees which input leads to new ones. Nothing may wait: what
 * modules read and start is put in their place by the function's file.
 */
#ifndef VIC_FUZZ_LUA_HOST_H
#define VIC_FUZZ_LUA_HOST_H

#include "check.h"
#include "host.h"

#include <lauxlib.h>
#include <lualib.h>

#include <stdint.h>
#include <string.h>

#define MEMORY   ((size_t)64 << 20) /* of the Lua state; what needs more has no bound */
#define COUNTERS 16384              /* a power of two */

static lua_State *L;
static size_t used;

/* libFuzzer looks at this section as at its own counters. */
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t counters[COUNTERS];

static void *allocate(void *arg, void *block, size_t before, size_t size)
{
    (void)arg;
    before = block ? before : 0;
    CHECK(size <= before || used + size - before <= MEMORY);
    used += size - before;
    if (size)
        return realloc(block, size);
    free(block);
    return NULL;
}

/* Of lua/ alone: from which line of it to which. */
static void on_line(lua_State *state, lua_Debug *at)
{
    static uint32_t before;
    uint32_t here = 2166136261u;
    const char *c;

    lua_getinfo(state, "S", at);
    if (strncmp(at->source, "@lua/", 5) != 0)
        return;
    for (c = at->source + 5; *c; c++)
        here = (here ^ (uint8_t)*c) * 16777619u;
    here = (here ^ (uint32_t)at->currentline) * 16777619u;
    counters[(here ^ before) % COUNTERS]++;
    before = here >> 1;
}

static void lua_host_start(const char *name)
{
    L = lua_newstate(allocate, NULL);
    luaL_openlibs(L);
    vic_host_register(L);
    lua_getglobal(L, "package");
    lua_pushliteral(L, "lua/?.lua;lua/?/init.lua;spec/?.lua");
    lua_setfield(L, -2, "path");
    lua_pop(L, 1);
    lua_pushfstring(L, "spec/fuzz/%s.lua", name);
    if (luaL_dofile(L, lua_tostring(L, -1)) != LUA_OK) {
        fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
        abort();
    }
    lua_remove(L, 1);
    lua_sethook(L, on_line, LUA_MASKLINE, 0);
}

static int explained(lua_State *state)
{
    luaL_traceback(state, state, luaL_tolstring(state, 1, NULL), 1);
    return 1;
}

/* Gives the input to the function of spec/fuzz/FILE.lua, and `kind` before it. */
static int lua_host_run(const char *file, const char *kind, const uint8_t *data,
                        size_t size)
{
    if (!L)
        lua_host_start(file);
    lua_pushcfunction(L, explained);
    lua_pushvalue(L, 1);
    lua_pushstring(L, kind);
    lua_pushlstring(L, (const char *)data, size);
    if (lua_pcall(L, 2, 0, 2) != LUA_OK) {
        fprintf(stderr, "thrown: %s\n", lua_tostring(L, -1));
        abort();
    }
    lua_settop(L, 1);
    lua_gc(L, LUA_GCCOLLECT, 0); /* what was kept would be looked at as a leak */
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
