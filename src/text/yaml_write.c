/*
 * yaml_write: tables to YAML through libyaml's emitter.
 *
 * The emitter sits in a userdata, so a throw in the middle leaks nothing; libyaml
 * owns each event from the moment it is emitted, also when that fails.
 */
#include "yaml_write.h"

#include "scalar.h"
#include "text.h"
#include "walk.h"

#include <lauxlib.h>
#include <math.h>
#include <yaml.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define WRITER_TYPE "vic.yaml.writer"

struct writer {
    struct vic_walk walk; /* first, so that a walk * is a writer * */
    bool open;            /* emitter is to be deleted */
    yaml_emitter_t emitter;
    struct vic_text out;
};

/* Both __close and __gc. */
static int l_writer_close(lua_State *L)
{
    struct writer *w = luaL_checkudata(L, 1, WRITER_TYPE);

    if (w->open)
        yaml_emitter_delete(&w->emitter);
    w->open = false;
    vic_text_fini(&w->out);
    return 0;
}

/* Called by the emitter: no Lua. */
static int yaml_on_write(void *data, unsigned char *bytes, size_t size)
{
    vic_text_add(&((struct writer *)data)->out, bytes, size);
    return 1;
}

static struct writer *new_writer(lua_State *L)
{
    struct writer *w = lua_newuserdatauv(L, sizeof(*w), 0);

    memset(w, 0, sizeof(*w));
    if (luaL_newmetatable(L, WRITER_TYPE)) {
        lua_pushcfunction(L, l_writer_close);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, l_writer_close);
        lua_setfield(L, -2, "__close");
    }
    lua_setmetatable(L, -2);
    lua_toclose(L, -1);
    if (!yaml_emitter_initialize(&w->emitter))
        luaL_error(L, "out of memory");
    w->open = true;
    yaml_emitter_set_output(&w->emitter, yaml_on_write, w);
    yaml_emitter_set_unicode(&w->emitter, 1);
    yaml_emitter_set_width(&w->emitter, -1);
    return w;
}

/* Emits *event if it was made. */
static void emit(struct writer *w, int made, yaml_event_t *event,
                 const struct vic_path *path)
{
    if (!made)
        vic_path_throw(w->walk.L, path, "not writable as YAML");
    if (!yaml_emitter_emit(&w->emitter, event))
        vic_path_throw(w->walk.L, path, "%s",
                       w->emitter.problem ? w->emitter.problem : "not writable as YAML");
}

static void write_scalar(struct writer *w, const char *s, size_t len,
                         yaml_scalar_style_t style, const struct vic_path *path)
{
    yaml_event_t event;

    int made = yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)s,
                                            (int)len, 1, 1, style);

    emit(w, made, &event, path);
}

/* Lines that read back as they are under a "|": no space where a reader could lose or
 * miscount one, at most one line break at the end. The emitter quotes what it cannot
 * write so. */
static bool literal(const char *s, size_t len)
{
    size_t i;

    if (len < 2 || !memchr(s, '\n', len - 1))
        return false;
    if (*s == ' ' || *s == '\n' || s[len - 1] == ' ' ||
        (s[len - 1] == '\n' && s[len - 2] == '\n'))
        return false;
    for (i = 0; i < len; i++) {
        if ((unsigned char)s[i] >= 0x7f || ((unsigned char)s[i] < 0x20 && s[i] != '\n'))
            return false;
        if (s[i] == ' ' && s[i + 1] == '\n')
            return false;
    }
    return true;
}

static void yaml_write_string(struct vic_walk *walk, const char *s, size_t len, bool key,
                              const struct vic_path *path)
{
    yaml_scalar_style_t style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;

    if (len > INT_MAX)
        vic_path_throw(walk->L, path, "text of more than 2 GiB");
    if (vic_scalar_plain(s, len))
        style = YAML_PLAIN_SCALAR_STYLE;
    else if (!key && literal(s, len))
        style = YAML_LITERAL_SCALAR_STYLE;
    write_scalar((struct writer *)walk, s, len, style, path);
}

static void yaml_write_word(struct vic_walk *walk, const char *word,
                            const struct vic_path *path)
{
    write_scalar((struct writer *)walk, word, strlen(word), YAML_PLAIN_SCALAR_STYLE,
                 path);
}

/* YAML 1.1 wants a dot in a float: 1e+20 becomes 1.0e+20. */
static void yaml_write_number(struct vic_walk *walk, int index,
                              const struct vic_path *path)
{
    struct vic_text digits = { 0 };
    char out[64];
    char *e;

    if (lua_isinteger(walk->L, index)) {
        snprintf(out, sizeof(out), "%lld", (long long)lua_tointeger(walk->L, index));
    } else if (!isfinite(lua_tonumber(walk->L, index))) {
        vic_path_throw(walk->L, path, "a number that YAML for Kubernetes cannot hold");
    } else {
        vic_text_number(&digits, lua_tonumber(walk->L, index));
        vic_text_char(&digits, '\0');
        e = strpbrk(digits.data, ".e");
        if (e && *e == 'e')
            snprintf(out, sizeof(out), "%.*s.0%s", (int)(e - digits.data), digits.data,
                     e);
        else
            snprintf(out, sizeof(out), "%s", digits.data);
        vic_text_fini(&digits);
    }
    yaml_write_word(walk, out, path);
}

/* The order in which people write the fields of an object; others follow by name. */
static int rank(const char *key)
{
    static const char *const first[] = { "apiVersion", "kind", "metadata", "name",
                                         "namespace",  "spec", "status" };
    const int n = sizeof(first) / sizeof(first[0]);
    int i;

    for (i = 0; i < n; i++)
        if (strcmp(key, first[i]) == 0)
            return i;
    return n;
}

static void yaml_write_open(struct vic_walk *walk, bool list, int depth,
                            const struct vic_path *path)
{
    yaml_event_t event;
    int made = list ? yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
                                                           YAML_BLOCK_SEQUENCE_STYLE)
                    : yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
                                                          YAML_BLOCK_MAPPING_STYLE);

    (void)depth;
    emit((struct writer *)walk, made, &event, path);
}

static void yaml_write_close(struct vic_walk *walk, bool list, long long count, int depth,
                             const struct vic_path *path)
{
    yaml_event_t event;
    int made = list ? yaml_sequence_end_event_initialize(&event)
                    : yaml_mapping_end_event_initialize(&event);

    (void)count, (void)depth;
    emit((struct writer *)walk, made, &event, path);
}

void vic_yaml_write(lua_State *L, int index)
{
    yaml_event_t event;
    struct writer *w;

    index = lua_absindex(L, index);
    w = new_writer(L);
    w->walk = (struct vic_walk){ .L = L,
                                 .what = "writing YAML",
                                 .rank = rank,
                                 .word = yaml_write_word,
                                 .number = yaml_write_number,
                                 .string = yaml_write_string,
                                 .open = yaml_write_open,
                                 .close = yaml_write_close };
    emit(w, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING), &event, NULL);
    emit(w, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1), &event,
         NULL);
    vic_walk_value(&w->walk, index);
    emit(w, yaml_document_end_event_initialize(&event, 1), &event, NULL);
    emit(w, yaml_stream_end_event_initialize(&event), &event, NULL);
    lua_pushlstring(L, w->out.data, w->out.size);
}
