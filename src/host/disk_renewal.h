/*
 * disk_renewal: headers of a disk's requests that change while it comes, as Lua holds them.
 */
#ifndef VIC_DISK_RENEWAL_H
#define VIC_DISK_RENEWAL_H

#include <lua.h>

struct vic_renewal;

/* The list of "Name: value" for the table on top, NULL for nil; it is kept by what is
 * pushed. */
const char *const *vic_disk_headers(lua_State *L);

int vic_l_disk_headers(lua_State *L);
struct vic_renewal *vic_renewal_check(lua_State *L, int index);
void vic_renewal_register(lua_State *L);

#endif
