/*
 * json_read: JSON text to Lua values. The other half of json_write.
 */
#ifndef VIC_JSON_READ_H
#define VIC_JSON_READ_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

struct vic_error;

struct vic_json_limits {
    bool big;      /* numbers beyond 2^53 are taken */
    size_t memory; /* bytes that what is pushed may take */
};

/* Pushes the value of the text, which must outlive the call. -1 and *err (kind format) if it is not sound; what was pushed until then
 * stays on the stack. */
int vic_json_read(lua_State *L, const char *text, size_t len,
                  const struct vic_json_limits *limits, struct vic_error *err);

#endif
