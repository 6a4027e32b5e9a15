/*
 * status: host.metrics' server.
 */
#ifndef VIC_STATUS_H
#define VIC_STATUS_H

#include <lua.h>

/* Registers the server's type. Call once per state. */
void vic_status_init(lua_State *L);

/* metrics.serve. */
int l_metrics_serve(lua_State *L);

#endif
