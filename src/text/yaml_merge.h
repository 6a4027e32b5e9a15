/*
 * yaml_merge: the key << of a map, whose value gives what the map does not say itself.
 *
 * Source: YAML 1.1, "Merge Key Language-Independent Type".
 */
#ifndef VIC_YAML_MERGE_H
#define VIC_YAML_MERGE_H

#include <lua.h>
#include <stdbool.h>

/* Stack indices of what belongs to one map. */
struct vic_yaml_map {
    int values; /* what it becomes */
    int seen;   /* key -> line, also of keys whose value is null */
    int merge;  /* what stood under <<, or nil */
};

/* Whether the value on top can stand under <<: a map, or a list of maps. */
bool vic_yaml_is_mergeable(lua_State *L);

/* Adds to the map what stood under <<: of a list of maps the earlier ones go first. */
void vic_yaml_merge(lua_State *L, const struct vic_yaml_map *m);

#endif
