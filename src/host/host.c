/*
 * host: the border between C and Lua on one page.
 */
#include "host.h"

#include <lauxlib.h>

static const luaL_Reg MODULES[] = {
    { "host.code", vic_open_code },
    { "host.digest", vic_open_digest },
    { "host.disk", vic_open_disk },
    { "host.env", vic_open_env },
    { "host.error", vic_open_error },
    { "host.file", vic_open_file },
    { "host.http", vic_open_http },
    { "host.images", vic_open_images },
    { "host.json", vic_open_json },
    { "host.log", vic_open_log },
    { "host.metrics", vic_open_metrics },
    { "host.process", vic_open_process },
    { "host.sandbox", vic_open_sandbox },
    { "host.task", vic_open_task },
    { "host.text", vic_open_text },
    { "host.time", vic_open_time },
    { "host.xml", vic_open_xml },
    { "host.yaml", vic_open_yaml },
    { NULL, NULL },
};

void vic_host_register(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    luaL_setfuncs(L, MODULES, 0);
    lua_pop(L, 1);
}
