/*
 * host: what `require "host.*"` can find. One opener per module.
 */
#ifndef VIC_HOST_H
#define VIC_HOST_H

#include <lua.h>

int vic_open_code(lua_State *L);
int vic_open_digest(lua_State *L);
int vic_open_disk(lua_State *L);
int vic_open_env(lua_State *L);
int vic_open_error(lua_State *L);
int vic_open_file(lua_State *L);
int vic_open_http(lua_State *L);
int vic_open_images(lua_State *L);
int vic_open_json(lua_State *L);
int vic_open_log(lua_State *L);
int vic_open_metrics(lua_State *L);
int vic_open_process(lua_State *L);
int vic_open_sandbox(lua_State *L);
int vic_open_task(lua_State *L);
int vic_open_text(lua_State *L);
int vic_open_time(lua_State *L);
int vic_open_xml(lua_State *L);
int vic_open_yaml(lua_State *L);

/* Makes all of them findable by require, in this state. */
void vic_host_register(lua_State *L);

#endif
