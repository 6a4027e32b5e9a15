/*
 * disk_options: the options of disk.transfer and disk.stream.
 */
#ifndef VIC_DISK_OPTIONS_H
#define VIC_DISK_OPTIONS_H

#include <lua.h>

struct vic_transfer_opts;

/* Fills `opts` (all zero before) from the table at `index`; throws on mistakes, but `output`
 * may be missing. What its strings live in stays on the stack. */
void vic_disk_options(lua_State *L, int index, struct vic_transfer_opts *opts);

#endif
