/*
 * json_write: any Lua value as JSON text. Used by host.json and host.log.
 */
#ifndef VIC_JSON_WRITE_H
#define VIC_JSON_WRITE_H

#include <lua.h>
#include <stdbool.h>

struct vic_text;

/* Appends the value at `index`; `pretty`: a line per entry, 2 spaces a level. Throws
 * an err of kind invalid that names the path. */
void vic_json_write(lua_State *L, int index, bool pretty, struct vic_text *out);

#endif
