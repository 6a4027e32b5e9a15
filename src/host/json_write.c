/*
 * json_write: tables to JSON. Keys come in byte order, so that one value has one text.
 */
#include "json_write.h"

#include "text.h"
#include "value.h"

#include <lauxlib.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>

struct writer {
    lua_State *L;
    bool pretty;
    struct vic_text *out;
};

static void write_value(struct writer *w, int index, const struct vic_path *path,
                        int depth);

static void write_newline(const struct writer *w, int depth)
{
    if (!w->pretty)
        return;
    vic_text_char(w->out, '\n');
    while (depth-- > 0)
        vic_text_puts(w->out, "  ");
}

static void write_string(struct writer *w, const char *s, size_t len,
                         const struct vic_path *path)
{
    if (vic_utf8_valid(s, len) != len)
        vic_path_throw(w->L, path, "text that is not UTF-8");
    vic_text_json(w->out, s, len, SIZE_MAX);
}

static void write_number(struct writer *w, int index, const struct vic_path *path)
{
    char digits[32];
    double number = lua_tonumber(w->L, index);

    if (lua_isinteger(w->L, index)) {
        snprintf(digits, sizeof(digits), "%lld", (long long)lua_tointeger(w->L, index));
        vic_text_puts(w->out, digits);
    } else if (isfinite(number)) {
        vic_text_number(w->out, number);
    } else {
        vic_path_throw(w->L, path, "a number that JSON cannot hold");
    }
}

static void write_list(struct writer *w, int index, const struct vic_path *path,
                       int depth)
{
    struct vic_path step = { .parent = path };
    long long n = (long long)lua_rawlen(w->L, index);

    vic_text_char(w->out, '[');
    for (step.index = 1; step.index <= n; step.index++) {
        if (step.index > 1)
            vic_text_char(w->out, ',');
        write_newline(w, depth + 1);
        lua_rawgeti(w->L, index, step.index);
        write_value(w, lua_gettop(w->L), &step, depth + 1);
        lua_pop(w->L, 1);
    }
    if (n > 0)
        write_newline(w, depth);
    vic_text_char(w->out, ']');
}

static void write_map(struct writer *w, int index, const struct vic_path *path,
                      int depth)
{
    struct vic_path step = { .parent = path };
    size_t n;
    size_t i;
    const struct vic_key *keys = vic_value_keys(w->L, index, path, NULL, &n);

    vic_text_char(w->out, '{');
    for (i = 0; i < n; i++) {
        step.key = keys[i].name;
        step.len = keys[i].len;
        if (i > 0)
            vic_text_char(w->out, ',');
        write_newline(w, depth + 1);
        write_string(w, keys[i].name, keys[i].len, &step);
        vic_text_puts(w->out, w->pretty ? ": " : ":");
        lua_pushlstring(w->L, keys[i].name, keys[i].len);
        lua_rawget(w->L, index);
        write_value(w, lua_gettop(w->L), &step, depth + 1);
        lua_pop(w->L, 1);
    }
    if (n > 0)
        write_newline(w, depth);
    vic_text_char(w->out, '}');
    lua_pop(w->L, 1);
}

static void write_table(struct writer *w, int index, const struct vic_path *path,
                        int depth)
{
    if (depth >= VIC_VALUE_DEPTH)
        vic_path_throw(w->L, path, "nested deeper than %d", VIC_VALUE_DEPTH);
    luaL_checkstack(w->L, 8, "encoding JSON");
    if (vic_value_is_list(w->L, index, path))
        write_list(w, index, path, depth);
    else
        write_map(w, index, path, depth);
}

static void write_value(struct writer *w, int index, const struct vic_path *path,
                        int depth)
{
    size_t len;
    const char *s;

    switch (lua_type(w->L, index)) {
    case LUA_TBOOLEAN:
        vic_text_puts(w->out, lua_toboolean(w->L, index) ? "true" : "false");
        return;
    case LUA_TNUMBER:
        write_number(w, index, path);
        return;
    case LUA_TSTRING:
        s = lua_tolstring(w->L, index, &len);
        write_string(w, s, len, path);
        return;
    case LUA_TTABLE:
        write_table(w, index, path, depth);
        return;
    default:
        if (!vic_value_is_null(w->L, index))
            vic_path_throw(w->L, path, "a %s", luaL_typename(w->L, index));
        vic_text_puts(w->out, "null");
    }
}

void vic_json_write(lua_State *L, int index, bool pretty, struct vic_text *out)
{
    struct writer w = { .L = L, .pretty = pretty, .out = out };

    write_value(&w, lua_absindex(L, index), NULL, 0);
}
