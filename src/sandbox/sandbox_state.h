/*
 * sandbox_state: the Lua that a site script sees, for one call.
 *
 * string, table, math, utf8, log, json.array; no way to compile code, to make a
 * coroutine or a finalizer, or to reach anything outside. Each call has a state of its
 * own, so no call can leave anything behind for another.
 */
#ifndef VIC_SANDBOX_STATE_H
#define VIC_SANDBOX_STATE_H

#include <lua.h>
#include <stddef.h>

struct vic_text;

struct vic_budget {
    size_t used, most; /* bytes */
};

/* What a script says by log.*, as JSON objects joined by commas, bounded. */
struct vic_sandbox_log {
    struct vic_text *lines;
    unsigned count;
};

/* An empty state. NULL: not even that fits the budget. */
lua_State *vic_sandbox_state(struct vic_budget *budget);

/* Opens the libraries. May throw: call it protected. */
void vic_sandbox_open(lua_State *L, struct vic_sandbox_log *log);

/* Whether scripts may use that global. */
int vic_sandbox_knows(const char *name);

#endif
