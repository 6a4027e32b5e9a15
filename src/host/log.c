/*
 * host.log: events for whoever watches the process.
 */
#include "log.h"

#include "host.h"
#include "json_write.h"
#include "text.h"
#include "value.h"

#include <lauxlib.h>

#include <stdint.h>
#include <string.h>

/* [value] -> its JSON. Throws where json.encode does. */
static int l_encode(lua_State *L)
{
    struct vic_text *out = vic_value_text(L);

    vic_json_write(L, 1, false, out);
    lua_pushlstring(L, out->data, out->size);
    return 1;
}

/* [value] -> its text as a JSON string, whatever it is. */
static int l_describe(lua_State *L)
{
    size_t len;
    const char *s = luaL_tolstring(L, 1, &len);
    struct vic_text *out = vic_value_text(L);

    vic_text_json(out, s, len, SIZE_MAX);
    lua_pushlstring(L, out->data, out->size);
    return 1;
}

/* Replaces the value on top by its JSON. A line of a log is not worth an error. */
static void to_json(lua_State *L)
{
    lua_pushcfunction(L, l_encode);
    lua_pushvalue(L, -2);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
        lua_pop(L, 1);
        lua_pushcfunction(L, l_describe);
        lua_pushvalue(L, -2);
        lua_call(L, 1, 1);
    }
    lua_remove(L, -2);
}

/* A field must not be called as one that every line has. */
static void log_check_name(lua_State *L, const char *name)
{
    static const char *const taken[] = { "time", "level", "message", "truncated" };
    size_t i;

    for (i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        luaL_argcheck(L, strcmp(name, taken[i]) != 0, 2, "a field's name is taken");
}

/* Pushes the fields of the table at 2 and what they point to. */
static const struct vic_log_field *push_fields(lua_State *L, size_t *count)
{
    const struct vic_key *keys = vic_value_keys(L, 2, NULL, NULL, count);
    struct vic_log_field *fields = lua_newuserdatauv(L, *count * sizeof(*fields), 0);
    size_t i;

    luaL_checkstack(L, (int)*count + 4, "too many fields");
    for (i = 0; i < *count; i++) {
        log_check_name(L, keys[i].name);
        fields[i].name = keys[i].name;
        fields[i].name_len = keys[i].len;
        lua_pushlstring(L, keys[i].name, keys[i].len);
        lua_rawget(L, 2);
        to_json(L);
        fields[i].json = lua_tolstring(L, -1, &fields[i].json_len);
    }
    return fields;
}

static int write_event(lua_State *L, enum vic_log_level level)
{
    const struct vic_log_field *fields = NULL;
    size_t count = 0;
    size_t len;
    const char *message;

    luaL_checkany(L, 1);
    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TTABLE);
    if (!vic_log_enabled(level))
        return 0;
    lua_settop(L, 2);
    message = luaL_tolstring(L, 1, &len);
    if (lua_istable(L, 2))
        fields = push_fields(L, &count);
    vic_log_event(level, message, len, fields, count);
    return 0;
}

/*
 * log.info(message, fields)
 *
 *   message  string  what happened, a sentence without a full stop; an err will do, too
 *   fields   table   name -> value, of which JSON is made             (default none)
 *
 * One line on stderr: {"time", "level", "message", fields by name}; text if that is a
 * terminal. At most 8 KiB: longer messages and values are cut, and fields left out
 * ("truncated": true). What is not JSON is described. Nothing secret belongs here.
 */
static int l_log_info(lua_State *L)
{
    return write_event(L, VIC_LOG_INFO);
}

/*
 * log.warn(message, fields)
 * As info: somebody should look at it, in time.
 */
static int l_log_warn(lua_State *L)
{
    return write_event(L, VIC_LOG_WARN);
}

/*
 * log.error(message, fields)
 * As info: something has failed for good.
 */
static int l_log_error(lua_State *L)
{
    return write_event(L, VIC_LOG_ERROR);
}

/*
 * log.debug(message, fields)
 * As info; written only with DEBUG=true in the environment.
 */
static int l_log_debug(lua_State *L)
{
    return write_event(L, VIC_LOG_DEBUG);
}

int vic_open_log(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "debug", l_log_debug }, { "info", l_log_info }, { "warn", l_log_warn },
        { "error", l_log_error }, { NULL, NULL },
    };

    luaL_newlib(L, functions);
    return 1;
}
