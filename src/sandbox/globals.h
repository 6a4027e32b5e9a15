/*
 * globals: which global names a compiled Lua function reads and writes.
 *
 * They are read out of the bytecode that lua_dump gives (Lua 5.4), so nothing runs.
 */
#ifndef VIC_GLOBALS_H
#define VIC_GLOBALS_H

#include <lua.h>
#include <stdbool.h>

/* Calls `found` for each access to a global by name, in the function on top and in those
 * inside it. Accesses by a computed name, and in functions of very many constants, are
 * not seen. */
void vic_globals(lua_State *L,
                 void (*found)(void *arg, const char *name, int line, bool written),
                 void *arg);

#endif
