/*
 * yaml_read: libyaml's events to tables, document after document.
 *
 * A null is json.null on the stack, and dropped where a map would hold it. An alias
 * is a copy, and every value, copied or not, counts against MOST_VALUES: that bounds
 * what a small text can grow to.
 */
#include "yaml_read.h"

#include "budget.h"
#include "error.h"
#include "scalar.h"
#include "value.h"
#include "yaml_events.h"
#include "yaml_merge.h"

#include <lauxlib.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_VALUES     100000
#define MOST_DIRECTIVES 100

struct reader {
    lua_State *L;
    struct vic_yaml_events *y;
    int anchors; /* stack index of the table of anchors: name -> value */
    int values;  /* so far */
    struct vic_budget budget;
};

static const char unfinished; /* an anchor whose value is being read */

static bool yaml_read_node(struct reader *r, int depth);

static bool yaml_afford(struct reader *r, size_t bytes)
{
    char reason[80];

    if (vic_budget_take(&r->budget, bytes))
        return true;
    vic_budget_reason(&r->budget, reason, sizeof(reason));
    return vic_yaml_fail(r->y, "%s", reason);
}

/* The bytes of the current event's text, if it is a scalar. */
static size_t text_size(const struct reader *r)
{
    return r->y->event.type == YAML_SCALAR_EVENT
               ? VIC_BUDGET_STRING + r->y->event.data.scalar.length
               : 0;
}

/* A field of a map is an entry of the keys that were seen, too. */
static bool count_value(struct reader *r)
{
    if (++r->values > MOST_VALUES)
        return vic_yaml_fail(r->y, "more than %d values", MOST_VALUES);
    return yaml_afford(r, 2 * VIC_BUDGET_FIELD);
}

/* Pushes the current scalar. */
static bool read_scalar(struct reader *r)
{
    struct vic_scalar scalar;

    if (!vic_yaml_scalar(r->y, &scalar))
        return false;
    switch (scalar.kind) {
    case VIC_SCALAR_NULL:
        vic_value_push_null(r->L);
        break;
    case VIC_SCALAR_BOOLEAN:
        lua_pushboolean(r->L, scalar.boolean);
        break;
    case VIC_SCALAR_INTEGER:
        lua_pushinteger(r->L, scalar.integer);
        break;
    case VIC_SCALAR_FLOAT:
        /* 1.0 and 1e3 are integers in the JSON that Kubernetes makes of them. */
        if (fabs(scalar.number) <= 0x1p53 && scalar.number == trunc(scalar.number))
            lua_pushinteger(r->L, (lua_Integer)scalar.number);
        else
            lua_pushnumber(r->L, scalar.number);
        break;
    default:
        lua_pushlstring(r->L, (const char *)r->y->event.data.scalar.value,
                        r->y->event.data.scalar.length);
    }
    return true;
}

/* Pushes a float that is a key, as Go writes a 32-bit one: the fewest digits that give
 * it back, with an exponent below 1e-4 and from 1e6 on. */
static void push_float_key(lua_State *L, double number)
{
    char digits[64];
    int precision = 0;
    int exponent;

    do {
        snprintf(digits, sizeof(digits), "%.*e", precision, number);
    } while (strtof(digits, NULL) != (float)number && ++precision < 9);
    exponent = (int)strtol(strchr(digits, 'e') + 1, NULL, 10);
    if (exponent >= -4 && exponent < 6)
        snprintf(digits, sizeof(digits), "%.*f",
                 precision > exponent ? precision - exponent : 0, number);
    lua_pushstring(L, digits);
}

/* Pushes the current scalar as the key of a map: always a string. */
static bool read_key(struct reader *r)
{
    struct vic_scalar scalar;

    if (r->y->event.type != YAML_SCALAR_EVENT)
        return vic_yaml_fail(r->y, "a key must be a scalar");
    if (!yaml_afford(r, text_size(r)))
        return false;
    if (!vic_yaml_scalar(r->y, &scalar))
        return false;
    switch (scalar.kind) {
    case VIC_SCALAR_NULL:
        return vic_yaml_fail(r->y, "a key must not be empty");
    case VIC_SCALAR_BOOLEAN:
        lua_pushstring(r->L, scalar.boolean ? "true" : "false");
        break;
    case VIC_SCALAR_INTEGER:
        lua_pushfstring(r->L, "%I", (LUAI_UACINT)scalar.integer);
        break;
    case VIC_SCALAR_FLOAT:
        push_float_key(r->L, scalar.number);
        break;
    default:
        lua_pushlstring(r->L, (const char *)r->y->event.data.scalar.value,
                        r->y->event.data.scalar.length);
    }
    return true;
}

/* Pushes a copy of the value on top, and counts it. */
static bool copy_value(struct reader *r, int depth)
{
    int from = lua_gettop(r->L);

    if (!count_value(r))
        return false;
    if (!lua_istable(r->L, from)) {
        lua_pushvalue(r->L, from);
        return true;
    }
    if (depth >= VIC_VALUE_DEPTH)
        return vic_yaml_fail(r->y, "nested deeper than %d", VIC_VALUE_DEPTH);
    if (!yaml_afford(r, VIC_BUDGET_TABLE))
        return false;
    luaL_checkstack(r->L, 8, "reading YAML");
    lua_newtable(r->L);
    if (vic_value_marked(r->L, from))
        vic_value_mark(r->L);
    for (lua_pushnil(r->L); lua_next(r->L, from);) {
        /* [copy, key, value] */
        if (!copy_value(r, depth + 1))
            return false;
        lua_remove(r->L, -2);
        lua_pushvalue(r->L, -2);
        lua_insert(r->L, -2);
        lua_rawset(r->L, -4);
    }
    return true;
}

/* Pushes a copy of what the alias stands for. */
static bool read_alias(struct reader *r, int depth)
{
    const char *name = (const char *)r->y->event.data.alias.anchor;

    if (lua_getfield(r->L, r->anchors, name) == LUA_TNIL)
        return vic_yaml_fail(r->y, "no anchor &%s before this", name);
    if (lua_touserdata(r->L, -1) == &unfinished)
        return vic_yaml_fail(r->y, "the value of &%s contains itself", name);
    if (!copy_value(r, depth))
        return false;
    lua_remove(r->L, -2);
    return true;
}

/* Pushes the list of the current event. */
static bool yaml_read_list(struct reader *r, int depth)
{
    lua_Integer n = 0;

    lua_newtable(r->L);
    vic_value_mark(r->L);
    for (;;) {
        if (!vic_yaml_next(r->y))
            return false;
        if (r->y->event.type == YAML_SEQUENCE_END_EVENT)
            return true;
        if (!yaml_read_node(r, depth + 1))
            return false;
        if (vic_value_is_null(r->L, -1))
            return vic_yaml_fail(r->y, "an empty item in a list");
        lua_rawseti(r->L, -2, ++n);
    }
}

/* The current event is the key <<. */
static bool read_merge(struct reader *r, const struct vic_yaml_map *m, int depth)
{
    if (!lua_isnil(r->L, m->merge))
        return vic_yaml_fail(r->y, "a second << in one map");
    if (!vic_yaml_next(r->y) || !yaml_read_node(r, depth + 1))
        return false;
    if (!vic_yaml_is_mergeable(r->L))
        return vic_yaml_fail(r->y, "<< takes a map or a list of maps");
    lua_replace(r->L, m->merge);
    return true;
}

/* The current event is a key. */
static bool read_entry(struct reader *r, const struct vic_yaml_map *m, int depth)
{
    if (!read_key(r))
        return false;
    lua_pushvalue(r->L, -1);
    if (lua_rawget(r->L, m->seen) != LUA_TNIL)
        return vic_yaml_fail(r->y, "the key \"%.100s\" is already on line %lld",
                             lua_tostring(r->L, -2), (long long)lua_tointeger(r->L, -1));
    lua_pop(r->L, 1);
    lua_pushvalue(r->L, -1);
    lua_pushinteger(r->L, (lua_Integer)r->y->event.start_mark.line + 1);
    lua_rawset(r->L, m->seen);
    if (!vic_yaml_next(r->y) || !yaml_read_node(r, depth + 1))
        return false;
    if (vic_value_is_null(r->L, -1))
        lua_pop(r->L, 2);
    else
        lua_rawset(r->L, m->values);
    return true;
}

/* Pushes the map of the current event. */
static bool yaml_read_map(struct reader *r, int depth)
{
    struct vic_yaml_map m = { .values = lua_gettop(r->L) + 1 };
    bool merge;

    m.seen = m.values + 1;
    m.merge = m.values + 2;
    lua_newtable(r->L);
    lua_newtable(r->L);
    lua_pushnil(r->L);
    for (;;) {
        if (!vic_yaml_next(r->y))
            return false;
        if (r->y->event.type == YAML_MAPPING_END_EVENT)
            break;
        merge = vic_yaml_is_merge(r->y);
        if (!(merge ? read_merge(r, &m, depth) : read_entry(r, &m, depth)))
            return false;
    }
    vic_yaml_merge(r->L, &m);
    lua_settop(r->L, m.values);
    return true;
}

static bool read_unanchored(struct reader *r, int depth)
{
    switch (r->y->event.type) {
    case YAML_SCALAR_EVENT:
        return read_scalar(r);
    case YAML_ALIAS_EVENT:
        return read_alias(r, depth);
    default:
        if (depth >= VIC_VALUE_DEPTH)
            return vic_yaml_fail(r->y, "nested deeper than %d", VIC_VALUE_DEPTH);
        if (!yaml_afford(r, 2 * VIC_BUDGET_TABLE))
            return false;
        return r->y->event.type == YAML_SEQUENCE_START_EVENT ? yaml_read_list(r, depth)
                                                             : yaml_read_map(r, depth);
    }
}

/* Pushes the value that begins with the current event. */
static bool yaml_read_node(struct reader *r, int depth)
{
    const char *anchor = vic_yaml_anchor(r->y);

    if (!count_value(r) || !yaml_afford(r, text_size(r)))
        return false;
    luaL_checkstack(r->L, 12, "reading YAML");
    if (!anchor)
        return read_unanchored(r, depth);
    lua_pushstring(r->L, anchor); /* outlives the event */
    lua_pushvalue(r->L, -1);
    lua_pushlightuserdata(r->L, (void *)&unfinished);
    lua_rawset(r->L, r->anchors);
    if (!read_unanchored(r, depth))
        return false;
    lua_insert(r->L, -2);
    lua_pushvalue(r->L, -2);
    lua_rawset(r->L, r->anchors);
    return true;
}

/* Adds the documents to the list at `documents`. */
static bool read_stream(struct reader *r, int documents)
{
    lua_Integer n = 0;

    do {
        if (!vic_yaml_next(r->y))
            return false;
        if (r->y->event.type != YAML_DOCUMENT_START_EVENT)
            continue;
        lua_newtable(r->L);
        r->anchors = lua_gettop(r->L);
        if (!vic_yaml_next(r->y) || !yaml_read_node(r, 0))
            return false;
        if (vic_value_is_null(r->L, -1))
            lua_pop(r->L, 1);
        else
            lua_rawseti(r->L, documents, ++n);
        lua_pop(r->L, 1);
    } while (r->y->event.type != YAML_STREAM_END_EVENT);
    return true;
}

/* Whether there may be more than MOST_DIRECTIVES %TAG lines: libyaml compares each
 * with each. */
static bool many_directives(const char *text, size_t len)
{
    const char *end = text + len;
    int n;

    for (n = 0; n <= MOST_DIRECTIVES; n++) {
        text = memmem(text, (size_t)(end - text), "%TAG", 4);
        if (!text)
            return false;
        text += 4;
    }
    return true;
}

int vic_yaml_read(lua_State *L, const char *text, size_t len, const char *what,
                  const struct vic_yaml_limits *limits, struct vic_error *err)
{
    struct reader r = { .L = L,
                        .y = vic_yaml_open(L, text, len, what, err),
                        .budget.most = limits->memory };
    int documents;

    r.y->written = limits->written;
    if (many_directives(text, len))
        return vic_error_set(err, VIC_FORMAT, "%s: too many %%TAG lines", what);
    lua_newtable(L);
    vic_value_mark(L);
    documents = lua_gettop(L);
    if (!read_stream(&r, documents))
        return -1;
    lua_settop(L, documents);
    return 0;
}
