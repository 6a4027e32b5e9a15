/*
 * yaml_events: libyaml, and what its scalars mean.
 */
#include "yaml_events.h"

#include "error.h"
#include "scalar.h"

#include <lauxlib.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define EVENTS_TYPE "vic.yaml.events"
#define TAG_PREFIX  "tag:yaml.org,2002:"

/* Both __close and __gc. */
static int l_events_close(lua_State *L)
{
    struct vic_yaml_events *y = luaL_checkudata(L, 1, EVENTS_TYPE);

    if (y->event_open)
        yaml_event_delete(&y->event);
    if (y->parser_open)
        yaml_parser_delete(&y->parser);
    y->event_open = false;
    y->parser_open = false;
    return 0;
}

struct vic_yaml_events *vic_yaml_open(lua_State *L, const char *text, size_t len,
                                      const char *what, struct vic_error *err)
{
    struct vic_yaml_events *y = lua_newuserdatauv(L, sizeof(*y), 0);

    memset(y, 0, sizeof(*y));
    y->text = text;
    y->len = len;
    y->what = what;
    y->err = err;
    if (luaL_newmetatable(L, EVENTS_TYPE)) {
        lua_pushcfunction(L, l_events_close);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, l_events_close);
        lua_setfield(L, -2, "__close");
    }
    lua_setmetatable(L, -2);
    lua_toclose(L, -1);
    if (!yaml_parser_initialize(&y->parser))
        luaL_error(L, "out of memory");
    y->parser_open = true;
    yaml_parser_set_encoding(&y->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&y->parser, (const unsigned char *)text, len);
    return y;
}

/* Always false. Lines and columns count from 0. */
static bool yaml_events_fail_at(struct vic_yaml_events *y, size_t line, size_t column,
                                const char *reason)
{
    vic_error_set(y->err, VIC_FORMAT, "%s:%zu:%zu: %s", y->what, line + 1, column + 1,
                  reason);
    return false;
}

bool vic_yaml_fail(struct vic_yaml_events *y, const char *fmt, ...)
{
    char reason[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(reason, sizeof(reason), fmt, ap);
    va_end(ap);
    return yaml_events_fail_at(y, y->event.start_mark.line, y->event.start_mark.column,
                               reason);
}

/* A byte that the lowest layer of libyaml refuses; it knows only the offset. */
static bool yaml_events_fail_byte(struct vic_yaml_events *y)
{
    size_t line = 0;
    size_t start = 0;
    size_t i;

    for (i = 0; i < y->parser.problem_offset && i < y->len; i++) {
        if (y->text[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    return yaml_events_fail_at(y, line, i - start, y->parser.problem);
}

/* Whether that line is indented by a tab, which is what is wrong with it. */
static bool has_tab(const struct vic_yaml_events *y, size_t line)
{
    const char *end = y->text + y->len;
    const char *s = y->text;

    for (; line > 0 && s; line--) {
        s = memchr(s, '\n', (size_t)(end - s));
        if (s)
            s++;
    }
    while (s && s < end && *s == ' ')
        s++;
    return s && s < end && *s == '\t';
}

static bool fail_parser(struct vic_yaml_events *y)
{
    const yaml_parser_t *p = &y->parser;
    char reason[512];

    if (p->error == YAML_READER_ERROR)
        return yaml_events_fail_byte(y);
    if (has_tab(y, p->problem_mark.line))
        snprintf(reason, sizeof(reason), "a tab cannot indent a line");
    else if (p->context)
        snprintf(reason, sizeof(reason), "%s (%s that begins on line %zu)", p->problem,
                 p->context, p->context_mark.line + 1);
    else
        snprintf(reason, sizeof(reason), "%s", p->problem ? p->problem : "not YAML");
    return yaml_events_fail_at(y, p->problem_mark.line, p->problem_mark.column, reason);
}

bool vic_yaml_next(struct vic_yaml_events *y)
{
    if (y->event_open)
        yaml_event_delete(&y->event);
    y->event_open = false;
    if (!yaml_parser_parse(&y->parser, &y->event))
        return fail_parser(y);
    y->event_open = true;
    return true;
}

/* Whether a scalar that reads as `kind` may carry the tag !!name. */
static bool fits(const char *name, enum vic_scalar_kind kind)
{
    if (strcmp(name, "int") == 0)
        return kind == VIC_SCALAR_INTEGER;
    if (strcmp(name, "float") == 0)
        return kind == VIC_SCALAR_INTEGER || kind == VIC_SCALAR_FLOAT;
    if (strcmp(name, "bool") == 0)
        return kind == VIC_SCALAR_BOOLEAN;
    return kind == VIC_SCALAR_NULL;
}

/* A scalar with one of YAML's own tags; any other tag leaves it text. */
static bool resolve_tagged(struct vic_yaml_events *y, const char *name,
                           struct vic_scalar *out)
{
    static const char *const typed[] = { "int", "float", "bool", "null" };
    struct vic_scalar scalar;
    size_t i;

    if (strcmp(name, "binary") == 0)
        return vic_yaml_fail(y, "!!binary: write the base64 text without the tag");
    for (i = 0; i < sizeof(typed) / sizeof(typed[0]); i++) {
        if (strcmp(name, typed[i]) != 0)
            continue;
        scalar = vic_scalar_resolve((const char *)y->event.data.scalar.value,
                                    y->event.data.scalar.length);
        if (!fits(name, scalar.kind))
            return vic_yaml_fail(y, "this is no !!%s", name);
        *out = scalar;
    }
    return true;
}

bool vic_yaml_scalar(struct vic_yaml_events *y, struct vic_scalar *out)
{
    const char *tag = (const char *)y->event.data.scalar.tag;

    memset(out, 0, sizeof(*out));
    out->kind = VIC_SCALAR_TEXT;
    if (tag && strncmp(tag, TAG_PREFIX, strlen(TAG_PREFIX)) == 0)
        return resolve_tagged(y, tag + strlen(TAG_PREFIX), out);
    if (!tag && y->event.data.scalar.plain_implicit)
        *out = vic_scalar_resolve((const char *)y->event.data.scalar.value,
                                  y->event.data.scalar.length);
    if (y->written && out->kind != VIC_SCALAR_NULL)
        out->kind = VIC_SCALAR_TEXT;
    if (out->kind == VIC_SCALAR_TOO_BIG)
        return vic_yaml_fail(y, "an integer beyond 64 bits; if it is text, quote it");
    if (out->kind == VIC_SCALAR_SPECIAL)
        return vic_yaml_fail(y, "infinity and NaN have no place in an object; if it is "
                                "text, quote it");
    return true;
}

bool vic_yaml_is_merge(const struct vic_yaml_events *y)
{
    const yaml_event_t *e = &y->event;

    if (e->type != YAML_SCALAR_EVENT || e->data.scalar.length != 2 ||
        memcmp(e->data.scalar.value, "<<", 2) != 0)
        return false;
    return e->data.scalar.plain_implicit ||
           (e->data.scalar.tag &&
            strcmp((const char *)e->data.scalar.tag, TAG_PREFIX "merge") == 0);
}

const char *vic_yaml_anchor(const struct vic_yaml_events *y)
{
    switch (y->event.type) {
    case YAML_SCALAR_EVENT:
        return (const char *)y->event.data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return (const char *)y->event.data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return (const char *)y->event.data.mapping_start.anchor;
    default:
        return NULL;
    }
}
