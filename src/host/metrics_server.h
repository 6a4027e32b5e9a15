/*
 * metrics_server: host.metrics' server.
 */
#ifndef VIC_METRICS_SERVER_H
#define VIC_METRICS_SERVER_H

#include <lua.h>

/* Registers the server's type. Call once per state. */
void vic_metrics_server_init(lua_State *L);

/* metrics.serve. */
int vic_l_metrics_serve(lua_State *L);

#endif
