/*
 * yaml_write: a Lua value as a block-style YAML document.
 */
#ifndef VIC_YAML_WRITE_H
#define VIC_YAML_WRITE_H

#include <lua.h>

/* Pushes the text of the value at `index`. Throws an err of kind invalid that names
 * the path. */
void vic_yaml_write(lua_State *L, int index);

#endif
