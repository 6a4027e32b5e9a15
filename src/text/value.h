/*
 * value: what host.json and host.yaml agree on about Lua tables.
 *
 * A list is a table with the mark (json.array), or a table that is not empty and
 * whose keys are 1..n; every other table is a map, and its keys are strings.
 * Whatever may throw here owns nothing: memory hangs on userdata with __gc.
 */
#ifndef VIC_VALUE_H
#define VIC_VALUE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

struct vic_text;

/* How deep json and yaml nest, both ways. */
#define VIC_VALUE_DEPTH 64

/* Where in a value we are: a chain through the callers' stack frames, innermost
 * first. `key` is NULL in a list. */
struct vic_path {
    const struct vic_path *parent;
    const char *key;
    size_t len;      /* of key */
    long long index; /* from 1 */
};

/* "spec.disks[2].name"; "the value" for the outermost one. */
void vic_path_text(struct vic_text *text, const struct vic_path *path);

/* Throws an err of kind invalid: "spec.disks[2].name: reason". */
int vic_path_throw(lua_State *L, const struct vic_path *path, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Marks the table on top as a list. */
void vic_value_mark(lua_State *L);
bool vic_value_marked(lua_State *L, int index);

/*
 * json.array(t) -> t
 * Marks t (default: a new table) as a list, so that it is one also when empty.
 */
int vic_l_value_array(lua_State *L);

/* json.null: a light userdata. */
void vic_value_push_null(lua_State *L);
bool vic_value_is_null(lua_State *L, int index);

/* Whether the table at `index` is written as a list. Throws at keys that fit
 * neither a list nor a map. */
bool vic_value_is_list(lua_State *L, int index, const struct vic_path *path);

struct vic_key {
    const char *name; /* the table's own string */
    size_t len;
    int rank; /* lower is earlier; then by name, as bytes */
};

/* Pushes a userdata that holds the map's keys in order; they live as long as both
 * it and the table, unchanged, do. `rank` may be NULL. Throws at a key that is no
 * string. */
const struct vic_key *vic_value_keys(lua_State *L, int index, const struct vic_path *path,
                                     int (*rank)(const char *), size_t *count);

/* Pushes a to-be-closed userdata with an empty text in it. */
struct vic_text *vic_value_text(lua_State *L);

#endif
