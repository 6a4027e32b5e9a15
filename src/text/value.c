/*
 * value: the list mark, null, the order of keys, and paths for messages.
 */
#include "value.h"

#include "error.h"
#include "fail.h"
#include "text.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_TYPE "host.list"
#define TEXT_TYPE "vic.text"

static const char null_marker;

/* Steps from the outermost to `path`, the newest last. */
static void add_step(struct vic_text *text, const struct vic_path *path)
{
    char index[32];

    if (path->parent)
        add_step(text, path->parent);
    if (path->key) {
        if (text->size > 0)
            vic_text_char(text, '.');
        vic_text_visible(text, path->key, path->len, 100);
    } else if (path->index > 0) {
        snprintf(index, sizeof(index), "[%lld]", path->index);
        vic_text_puts(text, index);
    }
}

void vic_path_text(struct vic_text *text, const struct vic_path *path)
{
    size_t before = text->size;

    if (path)
        add_step(text, path);
    if (text->size == before)
        vic_text_puts(text, "the value");
}

int vic_path_throw(lua_State *L, const struct vic_path *path, const char *fmt, ...)
{
    struct vic_error err;
    struct vic_text where = { 0 };
    char reason[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(reason, sizeof(reason), fmt, ap);
    va_end(ap);
    vic_path_text(&where, path);
    vic_text_char(&where, '\0');
    vic_error_set(&err, VIC_INVALID, "%.700s: %s", where.data, reason);
    vic_text_fini(&where);
    vic_fail_push(L, &err);
    return lua_error(L);
}

void vic_value_mark(lua_State *L)
{
    luaL_newmetatable(L, LIST_TYPE);
    lua_setmetatable(L, -2);
}

int vic_l_value_array(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    vic_value_mark(L);
    return 1;
}

bool vic_value_marked(lua_State *L, int index)
{
    bool marked;

    if (!lua_getmetatable(L, index))
        return false;
    luaL_getmetatable(L, LIST_TYPE);
    marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return marked;
}

void vic_value_push_null(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)&null_marker);
}

bool vic_value_is_null(lua_State *L, int index)
{
    return lua_islightuserdata(L, index) && lua_touserdata(L, index) == &null_marker;
}

/* How many entries have an integer key, and how many another one. */
static void count_keys(lua_State *L, int index, lua_Unsigned *integers,
                       lua_Unsigned *others)
{
    *integers = 0;
    *others = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        ++*(lua_isinteger(L, -2) ? integers : others);
}

bool vic_value_is_list(lua_State *L, int index, const struct vic_path *path)
{
    lua_Unsigned integers;
    lua_Unsigned others;

    index = lua_absindex(L, index);
    count_keys(L, index, &integers, &others);
    if (integers == 0 && others == 0)
        return vic_value_marked(L, index);
    if (integers == 0 && !vic_value_marked(L, index))
        return false;
    if (others > 0)
        vic_path_throw(L, path, "a list that also has keys");
    if (lua_rawlen(L, index) != integers)
        vic_path_throw(L, path, "a list with holes");
    return true;
}

static int compare_keys(const void *a, const void *b)
{
    const struct vic_key *x = a;
    const struct vic_key *y = b;
    int order;

    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    order = memcmp(x->name, y->name, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

const struct vic_key *vic_value_keys(lua_State *L, int index, const struct vic_path *path,
                                     int (*rank)(const char *), size_t *count)
{
    struct vic_key *keys;
    size_t n = 0;

    index = lua_absindex(L, index);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        n++;
    keys = lua_newuserdatauv(L, n * sizeof(*keys), 0);
    *count = n;
    n = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            vic_path_throw(L, path, "a key that is a %s", luaL_typename(L, -2));
        keys[n].name = lua_tolstring(L, -2, &keys[n].len);
        keys[n].rank = rank ? rank(keys[n].name) : 0;
        n++;
    }
    qsort(keys, n, sizeof(*keys), compare_keys);
    return keys;
}

/* Both __close and __gc. */
static int l_text_close(lua_State *L)
{
    vic_text_fini(luaL_checkudata(L, 1, TEXT_TYPE));
    return 0;
}

struct vic_text *vic_value_text(lua_State *L)
{
    struct vic_text *text = lua_newuserdatauv(L, sizeof(*text), 0);

    memset(text, 0, sizeof(*text));
    if (luaL_newmetatable(L, TEXT_TYPE)) {
        lua_pushcfunction(L, l_text_close);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, l_text_close);
        lua_setfield(L, -2, "__close");
    }
    lua_setmetatable(L, -2);
    lua_toclose(L, -1);
    return text;
}
