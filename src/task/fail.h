/*
 * fail: how C tells Lua that the world said no: `nil, err`.
 *
 * err is a table {kind, message} whose tostring is the message.
 */
#ifndef VIC_FAIL_H
#define VIC_FAIL_H

#include <lua.h>

struct vic_error;

/* Pushes nil and an err of that kind (a name of base/error.h). Returns 2. */
int vic_fail(lua_State *L, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same from an engine's error. Returns 2; the err table is on top, so that
 * a caller can add fields. */
int vic_fail_error(lua_State *L, const struct vic_error *err);

/* Pushes just the err table. */
void vic_fail_push(lua_State *L, const struct vic_error *err);

/* Takes the message from the top and gives it to the table below, as UTF-8: a message
 * that was cut, or quotes what a server said, must still fit into a status. */
void vic_fail_set_message(lua_State *L);

/* Gives the table on top the metatable of errors. */
void vic_fail_set_type(lua_State *L);

#endif
