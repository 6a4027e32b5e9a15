#include "walk.h"

#include "text.h"

#include <lauxlib.h>

static void walk_value(struct vic_walk *w, int index, const struct vic_path *path,
                       int depth);

/* The value on top of the stack, which it takes off. */
static void walk_top(struct vic_walk *w, const struct vic_path *path, int depth)
{
    walk_value(w, lua_gettop(w->L), path, depth);
    lua_pop(w->L, 1);
}

static void walk_string(struct vic_walk *w, const char *s, size_t len, bool key,
                        const struct vic_path *path)
{
    if (vic_utf8_valid(s, len) != len)
        vic_path_throw(w->L, path, "text that is not UTF-8");
    w->string(w, s, len, key, path);
}

static long long walk_list(struct vic_walk *w, int index, const struct vic_path *path,
                           int depth)
{
    struct vic_path step = { .parent = path };
    long long n = (long long)lua_rawlen(w->L, index);

    for (step.index = 1; step.index <= n; step.index++) {
        if (w->next)
            w->next(w, step.index, depth);
        lua_rawgeti(w->L, index, step.index);
        walk_top(w, &step, depth + 1);
    }
    return n;
}

static long long walk_map(struct vic_walk *w, int index, const struct vic_path *path,
                          int depth)
{
    struct vic_path step = { .parent = path };
    size_t n;
    size_t i;
    const struct vic_key *keys = vic_value_keys(w->L, index, path, w->rank, &n);

    for (i = 0; i < n; i++) {
        step.key = keys[i].name;
        step.len = keys[i].len;
        if (w->next)
            w->next(w, (long long)i + 1, depth);
        walk_string(w, keys[i].name, keys[i].len, true, &step);
        if (w->colon)
            w->colon(w);
        lua_pushlstring(w->L, keys[i].name, keys[i].len);
        lua_rawget(w->L, index);
        walk_top(w, &step, depth + 1);
    }
    lua_pop(w->L, 1);
    return (long long)n;
}

static void walk_table(struct vic_walk *w, int index, const struct vic_path *path,
                       int depth)
{
    long long count;
    bool list;

    if (depth >= VIC_VALUE_DEPTH)
        vic_path_throw(w->L, path, "nested deeper than %d", VIC_VALUE_DEPTH);
    luaL_checkstack(w->L, 8, w->what);
    list = vic_value_is_list(w->L, index, path);
    w->open(w, list, depth, path);
    count = list ? walk_list(w, index, path, depth) : walk_map(w, index, path, depth);
    w->close(w, list, count, depth, path);
}

static void walk_value(struct vic_walk *w, int index, const struct vic_path *path,
                       int depth)
{
    size_t len;
    const char *s;

    switch (lua_type(w->L, index)) {
    case LUA_TBOOLEAN:
        w->word(w, lua_toboolean(w->L, index) ? "true" : "false", path);
        return;
    case LUA_TNUMBER:
        w->number(w, index, path);
        return;
    case LUA_TSTRING:
        s = lua_tolstring(w->L, index, &len);
        walk_string(w, s, len, false, path);
        return;
    case LUA_TTABLE:
        walk_table(w, index, path, depth);
        return;
    default:
        if (!vic_value_is_null(w->L, index))
            vic_path_throw(w->L, path, "a %s", luaL_typename(w->L, index));
        w->word(w, "null", path);
    }
}

void vic_walk_value(struct vic_walk *w, int index)
{
    walk_value(w, lua_absindex(w->L, index), NULL, 0);
}
