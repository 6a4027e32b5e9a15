/*
 * host.json: text <-> tables, with integers, lists and null kept apart.
 *
 * Reader and writer are our own. lua-cjson (2.1.0) holds every number as a double
 * before anybody sees its literal, writes 14 digits of it, reads [] and {} as the
 * same table and lets text pass that is not UTF-8; to make it exact, a second parser
 * would have to run over every text first.
 */
#include "error.h"
#include "fail.h"
#include "host.h"
#include "json_read.h"
#include "json_write.h"
#include "options.h"
#include "text.h"
#include "value.h"

#include <lauxlib.h>

#include <stddef.h>

#define MAX_MEMORY ((size_t)64 << 20)

/*
 * json.encode(value, opts) -> text
 *
 *   value        any      tables, strings, numbers, booleans, json.null
 *   opts.pretty  boolean  a line per entry, 2 spaces a level      (default false)
 *
 * A table that is marked (json.array), or not empty with keys 1..n, is a list; any
 * other is a map with string keys. Keys are sorted, so equal values have equal texts.
 * Whole numbers are written exactly. Throws an err of kind invalid, which names the
 * path, for text that is not UTF-8, NaN and infinity, a table that is neither list
 * nor map, more than 64 levels (so, a cycle), and values of any other type.
 */
static int l_json_encode(lua_State *L)
{
    static const struct vic_option options[] = {
        { "pretty", VIC_OPTION_BOOL, 0 },
        { NULL, VIC_OPTION_OTHER, 0 },
    };
    bool pretty = false;
    struct vic_text *out;

    luaL_checkany(L, 1);
    vic_options_read(L, 2, options, &pretty);
    out = vic_value_text(L);
    vic_json_write(L, 1, pretty, out);
    lua_pushlstring(L, out->data, out->size);
    return 1;
}

/*
 * json.decode(text, opts) -> value | nil, err
 *
 *   text      string
 *   opts.big  boolean  take numbers beyond 2^53, for texts that others can fill and we
 *                      must go on with: exact up to 64 bits      (default false)
 *   opts.max_memory  bytes  that the value may take           (default 64 MiB)
 *   value     any      null is dropped from maps and lists; alone it is json.null.
 *                      Whole numbers are Lua integers. Lists are marked, also empty ones.
 *   err       format   names the byte and the path: not JSON, not UTF-8, a number beyond
 *                      2^53, more than 64 levels, too much memory
 *
 * Of two equal keys the last one counts. Source: RFC 8259.
 */
static int l_json_decode(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    static const struct vic_option options[] = {
        { "big", VIC_OPTION_BOOL, offsetof(struct vic_json_limits, big) },
        { "max_memory", VIC_OPTION_SIZE, offsetof(struct vic_json_limits, memory) },
        { NULL, VIC_OPTION_OTHER, 0 },
    };
    struct vic_json_limits limits = { .memory = MAX_MEMORY };
    struct vic_error err;

    vic_options_read(L, 2, options, &limits);
    if (vic_json_read(L, text, len, &limits, &err) != 0)
        return vic_fail_error(L, &err);
    return 1;
}

/*
 * json.is_array(value) -> boolean
 * Whether value is a table with the mark.
 */
static int l_json_is_array(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, lua_istable(L, 1) && vic_value_marked(L, 1));
    return 1;
}

int vic_open_json(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "encode", l_json_encode },
        { "decode", l_json_decode },
        { "array", vic_l_value_array },
        { "is_array", l_json_is_array },
        { NULL, NULL },
    };

    luaL_newlib(L, functions);
    vic_value_push_null(L); /* json.null: deletes a key in a merge patch */
    lua_setfield(L, -2, "null");
    return 1;
}
