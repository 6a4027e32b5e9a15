/*
 * disk_spool: a disk's stream kept as it came, as Lua holds it: host.disk fetches into it,
 * host.images publishes it.
 */
#ifndef VIC_DISK_SPOOL_H
#define VIC_DISK_SPOOL_H

#include <lua.h>

struct vic_spool;

/* Call once per state. */
void vic_spool_register(lua_State *L);

/* disk.spool, see spool_box.c. */
int vic_l_disk_spool(lua_State *L);

/* The spool at `index`; throws if it is something else or closed. */
struct vic_spool *vic_spool_check(lua_State *L, int index);

#endif
