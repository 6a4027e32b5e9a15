/*
 * json_read: JSON text to Lua values. The other half of json_write.
 */
#ifndef VIC_JSON_READ_H
#define VIC_JSON_READ_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

struct vic_error;

/* Pushes the value of the text, which must outlive the call. `big`: numbers beyond 2^53
 * are taken. -1 and *err (kind format) if it is not sound; what was pushed until then
 * stays on the stack. */
int vic_json_read(lua_State *L, const char *text, size_t len, bool big,
                  struct vic_error *err);

#endif
