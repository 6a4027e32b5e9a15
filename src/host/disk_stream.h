/*
 * disk_stream: a disk at its source as Lua holds it, for host.disk, which makes it, and
 * host.images, which publishes it.
 */
#ifndef VIC_DISK_STREAM_H
#define VIC_DISK_STREAM_H

#include <lua.h>

struct vic_image;

/* Call once per state. */
void vic_stream_register(lua_State *L);

/* disk.stream, see stream_box.c. */
int vic_l_disk_stream(lua_State *L);

/* The image of the stream at `index`; NULL: that is something else. Throws if it is
 * closed. */
struct vic_image *vic_stream_test(lua_State *L, int index);

#endif
