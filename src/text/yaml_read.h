/*
 * yaml_read: a YAML stream as Lua values.
 */
#ifndef VIC_YAML_READ_H
#define VIC_YAML_READ_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

struct vic_error;

struct vic_yaml_limits {
    bool written;  /* plain scalars are strings, as they are written, but for null */
    size_t memory; /* bytes that what is pushed may take */
};

/* Pushes the list of the stream's documents; `text` must outlive the call. -1 and *err
 * (kind format, "what:line:column: reason") if the text is not sound. */
int vic_yaml_read(lua_State *L, const char *text, size_t len, const char *what,
                  const struct vic_yaml_limits *limits, struct vic_error *err);

#endif
