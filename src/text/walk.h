/*
 * walk: a Lua value from its outside in, as host.json and host.yaml both write it. What is
 * a list, what a map, in which order its keys come and how deep it may be is decided here;
 * a writer only puts down what it is told.
 *
 * Everything may throw: memory hangs on userdata with __gc.
 */
#ifndef VIC_WALK_H
#define VIC_WALK_H

#include "value.h"

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

struct vic_walk {
    lua_State *L;
    const char *what;          /* "encoding JSON", for messages */
    int (*rank)(const char *); /* of keys, as vic_value_keys() has it; or NULL */

    /* true, false and null */
    void (*word)(struct vic_walk *walk, const char *word, const struct vic_path *path);
    /* The number at `index` of the stack. */
    void (*number)(struct vic_walk *walk, int index, const struct vic_path *path);
    /* UTF-8. */
    void (*string)(struct vic_walk *walk, const char *s, size_t len, bool key,
                   const struct vic_path *path);
    /* A list or a map; the outermost one has depth 0. */
    void (*open)(struct vic_walk *walk, bool list, int depth,
                 const struct vic_path *path);
    /* Before each entry (of a map: its key), `number` from 1; and behind a key. May be
     * NULL. */
    void (*next)(struct vic_walk *walk, long long number, int depth);
    void (*colon)(struct vic_walk *walk);
    void (*close)(struct vic_walk *walk, bool list, long long count, int depth,
                  const struct vic_path *path);
};

/* Throws an err of kind invalid that says where in the value nothing can be written. */
void vic_walk_value(struct vic_walk *walk, int index);

#endif
