/*
 * yaml_merge: see yaml_merge.h.
 */
#include "yaml_merge.h"

#include "value.h"

/* Adds to the map what the table at `from` has and it does not say itself. */
static void merge_one(lua_State *L, const struct vic_yaml_map *m, int from)
{
    from = lua_absindex(L, from);
    for (lua_pushnil(L); lua_next(L, from);) {
        /* [key, value] */
        lua_pushvalue(L, -2);
        if (lua_rawget(L, m->seen) == LUA_TNIL) {
            lua_pushvalue(L, -3);
            lua_pushboolean(L, 1);
            lua_rawset(L, m->seen);
            lua_pushvalue(L, -3);
            lua_pushvalue(L, -3);
            lua_rawset(L, m->values);
        }
        lua_pop(L, 2);
    }
}

void vic_yaml_merge(lua_State *L, const struct vic_yaml_map *m)
{
    lua_Integer n;
    lua_Integer i;

    if (lua_isnil(L, m->merge))
        return;
    if (!vic_value_marked(L, m->merge)) {
        merge_one(L, m, m->merge);
        return;
    }
    n = (lua_Integer)lua_rawlen(L, m->merge);
    for (i = 1; i <= n; i++) {
        lua_rawgeti(L, m->merge, i);
        merge_one(L, m, -1);
        lua_pop(L, 1);
    }
}

bool vic_yaml_is_mergeable(lua_State *L)
{
    lua_Integer n;
    bool maps = true;

    if (!lua_istable(L, -1))
        return false;
    if (!vic_value_marked(L, -1))
        return true;
    for (n = (lua_Integer)lua_rawlen(L, -1); n > 0 && maps; n--) {
        lua_rawgeti(L, -1, n);
        maps = lua_istable(L, -1) && !vic_value_marked(L, -1);
        lua_pop(L, 1);
    }
    return maps;
}
