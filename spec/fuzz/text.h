/*
 * text: JSON, YAML and XML from outside, as Lua gets them; what their fuzz targets share.
 *
 * Whatever comes, the outcome is a value or `nil, err`, never a throw; and what was read
 * of JSON and YAML is written so that it is read again as the same.
 */
#ifndef VIC_FUZZ_TEXT_H
#define VIC_FUZZ_TEXT_H

#include "check.h"
#include "host.h"

#include <lauxlib.h>
#include <lualib.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MEMORY ((size_t)64 << 20) /* of the Lua state; what needs more has no bound */

static lua_State *L;
static size_t used;

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

static const char PROGRAM[] =
    "local json, xml, yaml = require 'host.json', require 'host.xml', require 'host.yaml'\n"
    "local function same(value, write, read)\n"
    "  local text, err = write(value)\n"
    "  if text == nil then return assert(err.kind) end\n"
    "  local again, why = read(text)\n"
    "  assert(again ~= nil, why)\n"
    "  assert(write(again) == text, 'written, read and written again it differs')\n"
    "end\n"
    "return function(kind, text)\n"
    "  local value, err\n"
    "  if kind == 'json' then value, err = json.decode(text)\n"
    "  elseif kind == 'yaml' then value, err = yaml.parse(text)\n"
    "  else value, err = xml.parse(text) end\n"
    "  if value == nil then assert(err == nil or err.message) return end\n"
    "  if kind == 'json' then same(value, json.encode, json.decode)\n"
    "  elseif kind == 'yaml' then\n"
    "    for _, document in ipairs(value) do\n"
    "      same(document, yaml.dump, function(t)\n"
    "        local all, why = yaml.parse(t) return all and all[1], why end)\n"
    "    end\n"
    "  end\n"
    "end\n";

static void start(void)
{
    L = lua_newstate(allocate, NULL);
    luaL_openlibs(L);
    vic_host_register(L);
    if (luaL_loadstring(L, PROGRAM) != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        abort();
    }
}

/* kind is "json", "yaml" or "xml". */
static int text_run(const char *kind, const uint8_t *data, size_t size)
{
    if (!L)
        start();
    lua_pushvalue(L, 1);
    lua_pushstring(L, kind);
    lua_pushlstring(L, (const char *)data, size);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
        fprintf(stderr, "thrown: %s\n", luaL_tolstring(L, -1, NULL));
        abort();
    }
    lua_settop(L, 1);
    lua_gc(L, LUA_GCCOLLECT, 0); /* what was kept would be looked at as a leak */
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
