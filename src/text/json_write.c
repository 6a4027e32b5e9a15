/*
 * json_write: tables to JSON. Keys come in byte order, so that one value has one text.
 */
#include "json_write.h"

#include "text.h"
#include "walk.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>

struct writer {
    struct vic_walk walk; /* first, so that a walk * is a writer * */
    bool pretty;
    struct vic_text *out;
};

static void write_newline(const struct writer *w, int depth)
{
    if (!w->pretty)
        return;
    vic_text_char(w->out, '\n');
    while (depth-- > 0)
        vic_text_puts(w->out, "  ");
}

static void json_write_word(struct vic_walk *walk, const char *word,
                            const struct vic_path *path)
{
    (void)path;
    vic_text_puts(((struct writer *)walk)->out, word);
}

static void json_write_string(struct vic_walk *walk, const char *s, size_t len, bool key,
                              const struct vic_path *path)
{
    (void)key, (void)path;
    vic_text_json(((struct writer *)walk)->out, s, len, SIZE_MAX);
}

static void json_write_number(struct vic_walk *walk, int index,
                              const struct vic_path *path)
{
    struct vic_text *out = ((struct writer *)walk)->out;
    double number = lua_tonumber(walk->L, index);
    char digits[32];

    if (lua_isinteger(walk->L, index)) {
        snprintf(digits, sizeof(digits), "%lld",
                 (long long)lua_tointeger(walk->L, index));
        vic_text_puts(out, digits);
    } else if (isfinite(number)) {
        vic_text_number(out, number);
    } else {
        vic_path_throw(walk->L, path, "a number that JSON cannot hold");
    }
}

static void json_write_open(struct vic_walk *walk, bool list, int depth,
                            const struct vic_path *path)
{
    (void)depth, (void)path;
    vic_text_char(((struct writer *)walk)->out, list ? '[' : '{');
}

static void write_next(struct vic_walk *walk, long long number, int depth)
{
    struct writer *w = (struct writer *)walk;

    if (number > 1)
        vic_text_char(w->out, ',');
    write_newline(w, depth + 1);
}

static void write_colon(struct vic_walk *walk)
{
    struct writer *w = (struct writer *)walk;

    vic_text_puts(w->out, w->pretty ? ": " : ":");
}

static void json_write_close(struct vic_walk *walk, bool list, long long count, int depth,
                             const struct vic_path *path)
{
    struct writer *w = (struct writer *)walk;

    (void)path;
    if (count > 0)
        write_newline(w, depth);
    vic_text_char(w->out, list ? ']' : '}');
}

void vic_json_write(lua_State *L, int index, bool pretty, struct vic_text *out)
{
    struct writer w = {
        .walk = { .L = L,
                  .what = "encoding JSON",
                  .word = json_write_word,
                  .number = json_write_number,
                  .string = json_write_string,
                  .open = json_write_open,
                  .next = write_next,
                  .colon = write_colon,
                  .close = json_write_close },
        .pretty = pretty,
        .out = out,
    };

    vic_walk_value(&w.walk, index);
}
