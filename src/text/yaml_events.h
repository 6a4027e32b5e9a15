/*
 * yaml_events: libyaml's parser, an event at a time, with errors that say where.
 *
 * Parser and event sit in a userdata of Lua's: what uses them may throw and leaks
 * nothing.
 */
#ifndef VIC_YAML_EVENTS_H
#define VIC_YAML_EVENTS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

struct vic_error;
struct vic_scalar;

struct vic_yaml_events {
    yaml_event_t event; /* the current one, after the first vic_yaml_next() */
    yaml_parser_t parser;
    bool event_open, parser_open;
    bool written; /* plain scalars are text as they are written, but for null */
    const char *text, *what;
    size_t len;
    struct vic_error *err;
};

/* Pushes a to-be-closed userdata that will read `text`. Text, name and *err must
 * outlive it. */
struct vic_yaml_events *vic_yaml_open(lua_State *L, const char *text, size_t len,
                                      const char *what, struct vic_error *err);

/* Moves to the next event; false and *err if there is none that is sound. */
bool vic_yaml_next(struct vic_yaml_events *y);

/* Always false, with *err: "what:line:column: ..." of the current event. */
bool vic_yaml_fail(struct vic_yaml_events *y, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* What the current event, a scalar, stands for by its tag or else its text: text,
 * null, a boolean, an integer or a finite float. */
bool vic_yaml_scalar(struct vic_yaml_events *y, struct vic_scalar *out);

/* Whether the current event is the merge key << (in quotes it is just text). */
bool vic_yaml_is_merge(const struct vic_yaml_events *y);

/* The anchor of the current event, or NULL. */
const char *vic_yaml_anchor(const struct vic_yaml_events *y);

#endif
