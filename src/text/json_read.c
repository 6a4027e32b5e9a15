/*
 * json_read: one pass over the text, recursion bounded by VIC_VALUE_DEPTH.
 *
 * Source: RFC 8259. Beyond it: numbers further from zero than 2^53 are refused
 * (its section 6: implementations do not agree on them) unless the caller wants them,
 * so is text that is not UTF-8; null is dropped from maps and lists.
 */
#include "json_read.h"

#include "budget.h"
#include "error.h"
#include "text.h"
#include "value.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_EXACT     9007199254740992 /* 2^53 */
#define LONGEST_DIGITS 512

struct reader {
    lua_State *L;
    const char *start, *p, *end;
    struct vic_text *scratch; /* the string being unescaped */
    const struct vic_path *path;
    int depth;
    bool big; /* numbers beyond 2^53 are taken */
    struct vic_budget budget;
    struct vic_error *err;
};

static bool read_value(struct reader *r);

/* Always false. */
static bool json_fail(struct reader *r, const char *reason)
{
    struct vic_text where = { 0 };

    if (r->path)
        vic_path_text(&where, r->path);
    vic_text_char(&where, '\0');
    vic_error_set(r->err, VIC_FORMAT, "JSON, byte %zu%s%.700s: %s",
                  (size_t)(r->p - r->start), where.size > 1 ? ", " : "", where.data,
                  reason);
    vic_text_fini(&where);
    return false;
}

/* Takes `bytes`, and a string of `len` unless that is 0. */
static bool json_afford(struct reader *r, size_t bytes, size_t len)
{
    char reason[80];

    if (vic_budget_take(&r->budget, bytes) &&
        (len == 0 || vic_budget_string(&r->budget, len)))
        return true;
    vic_budget_reason(&r->budget, reason, sizeof(reason));
    return json_fail(r, reason);
}

static void skip_space(struct reader *r)
{
    while (r->p < r->end &&
           (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
        r->p++;
}

static bool next_is(struct reader *r, char c)
{
    skip_space(r);
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

static bool json_is_digit(const struct reader *r)
{
    return r->p < r->end && *r->p >= '0' && *r->p <= '9';
}

static bool skip_digits(struct reader *r)
{
    if (!json_is_digit(r))
        return false;
    while (json_is_digit(r))
        r->p++;
    return true;
}

/* Moves over a number by the grammar of RFC 8259. *integer: no fraction, no exponent. */
static bool skip_number(struct reader *r, bool *integer)
{
    *integer = true;
    if (*r->p == '-')
        r->p++;
    if (r->p < r->end && *r->p == '0')
        r->p++;
    else if (!skip_digits(r))
        return false;
    if (r->p < r->end && *r->p == '.') {
        *integer = false;
        r->p++;
        if (!skip_digits(r))
            return false;
    }
    if (r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
        *integer = false;
        r->p++;
        if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
            r->p++;
        if (!skip_digits(r))
            return false;
    }
    return true;
}

/* A number beyond 2^53: a Lua integer if 64 bits hold its literal, else the nearest
 * float. */
static bool push_big(struct reader *r, const char *digits, bool integer, double number)
{
    long long exact;

    if (!r->big || !isfinite(number))
        return json_fail(r, "a number beyond 2^53");
    errno = 0;
    exact = integer ? strtoll(digits, NULL, 10) : 0;
    if (integer && errno == 0)
        lua_pushinteger(r->L, exact);
    else
        lua_pushnumber(r->L, number);
    return true;
}

static bool json_read_number(struct reader *r)
{
    const char *start = r->p;
    char digits[LONGEST_DIGITS];
    bool integer;
    size_t len;
    double number;

    if (!skip_number(r, &integer))
        return json_fail(r, "not a number");
    len = (size_t)(r->p - start);
    if (len >= sizeof(digits))
        return json_fail(r, "a number of too many digits");
    memcpy(digits, start, len);
    digits[len] = '\0';
    number = strtod(digits, NULL);
    if (number > MOST_EXACT || number < -MOST_EXACT ||
        (integer && llabs(strtoll(digits, NULL, 10)) > MOST_EXACT))
        return push_big(r, digits, integer, number);
    if (number == (double)(lua_Integer)number)
        lua_pushinteger(r->L, (lua_Integer)number);
    else
        lua_pushnumber(r->L, number);
    return true;
}

/* Four hex digits of \uXXXX, or -1. */
static long read_hex4(struct reader *r)
{
    long code = 0;
    int i;

    if (r->end - r->p < 4)
        return -1;
    for (i = 0; i < 4; i++, r->p++) {
        char c = *r->p;

        code *= 16;
        if (c >= '0' && c <= '9')
            code += c - '0';
        else if (c >= 'a' && c <= 'f')
            code += c - 'a' + 10;
        else if (c >= 'A' && c <= 'F')
            code += c - 'A' + 10;
        else
            return -1;
    }
    return code;
}

/* After \u. Two surrogates make one character; one alone is no character. */
static bool read_unicode(struct reader *r)
{
    long code = read_hex4(r);
    long low;

    if (code >= 0xd800 && code < 0xdc00 && r->end - r->p >= 6 && r->p[0] == '\\' &&
        r->p[1] == 'u') {
        r->p += 2;
        low = read_hex4(r);
        if (low < 0xdc00 || low > 0xdfff)
            return json_fail(r, "half a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code < 0) {
        return json_fail(r, "\\u without four hexadecimal digits");
    } else if (code >= 0xd800 && code <= 0xdfff) {
        return json_fail(r, "half a surrogate pair");
    }
    vic_text_utf8(r->scratch, code);
    return true;
}

static bool read_escape(struct reader *r)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *which;

    r->p++; /* the backslash */
    if (r->p == r->end)
        return json_fail(r, "a string that does not end");
    if (*r->p == 'u') {
        r->p++;
        return read_unicode(r);
    }
    which = *r->p ? strchr(from, *r->p) : NULL;
    if (!which)
        return json_fail(r, "an unknown escape in a string");
    vic_text_char(r->scratch, to[which - from]);
    r->p++;
    return true;
}

/* Whether a byte inside a string stands for itself. */
static bool is_itself(char c)
{
    return (unsigned char)c >= 0x20 && c != '"' && c != '\\';
}

/* At the opening quote; pushes the string. */
static bool json_read_string(struct reader *r)
{
    const char *run = ++r->p;

    r->scratch->size = 0;
    for (; r->p < r->end && *r->p != '"'; run = r->p) {
        while (r->p < r->end && is_itself(*r->p))
            r->p++;
        vic_text_add(r->scratch, run, (size_t)(r->p - run));
        if (r->p == r->end || *r->p == '"')
            break;
        if (*r->p != '\\')
            return json_fail(r, "a control character in a string");
        if (!read_escape(r))
            return false;
    }
    if (r->p == r->end)
        return json_fail(r, "a string that does not end");
    r->p++;
    if (!json_afford(r, 0, r->scratch->size))
        return false;
    lua_pushlstring(r->L, r->scratch->data ? r->scratch->data : "", r->scratch->size);
    return true;
}

/* After the opening bracket, with the list on top. */
static bool json_read_list(struct reader *r)
{
    struct vic_path step = { .parent = r->path, .index = 1 };
    lua_Integer n = 0;

    vic_value_mark(r->L);
    if (next_is(r, ']'))
        return true;
    for (r->path = &step;; step.index++) {
        if (!json_afford(r, VIC_BUDGET_ITEM, 0) || !read_value(r))
            return false;
        if (vic_value_is_null(r->L, -1))
            lua_pop(r->L, 1);
        else
            lua_rawseti(r->L, -2, ++n);
        if (next_is(r, ']'))
            break;
        if (!next_is(r, ','))
            return json_fail(r, "expected , or ]");
    }
    r->path = step.parent;
    return true;
}

/* After the opening brace, with the map on top. */
static bool json_read_map(struct reader *r)
{
    struct vic_path step = { .parent = r->path };

    if (next_is(r, '}'))
        return true;
    do {
        skip_space(r);
        if (r->p == r->end || *r->p != '"')
            return json_fail(r, "expected a key in quotes");
        if (!json_afford(r, VIC_BUDGET_FIELD, 0) || !json_read_string(r))
            return false;
        step.key = lua_tolstring(r->L, -1, &step.len);
        r->path = &step;
        if (!next_is(r, ':'))
            return json_fail(r, "expected :");
        if (!read_value(r))
            return false;
        if (vic_value_is_null(r->L, -1))
            lua_pop(r->L, 2);
        else
            lua_rawset(r->L, -3);
        r->path = step.parent;
    } while (next_is(r, ','));
    return next_is(r, '}') || json_fail(r, "expected , or }");
}

static bool read_nested(struct reader *r)
{
    bool list = *r->p++ == '[';
    bool sound;

    if (++r->depth > VIC_VALUE_DEPTH)
        return json_fail(r, "nested too deep");
    if (!json_afford(r, VIC_BUDGET_TABLE, 0))
        return false;
    luaL_checkstack(r->L, 8, "decoding JSON");
    lua_newtable(r->L);
    sound = list ? json_read_list(r) : json_read_map(r);
    r->depth--;
    return sound;
}

static bool read_word(struct reader *r)
{
    static const char *const words[] = { "true", "false", "null" };
    size_t i;

    for (i = 0; i < 3; i++) {
        size_t len = strlen(words[i]);

        if ((size_t)(r->end - r->p) < len || memcmp(r->p, words[i], len) != 0)
            continue;
        r->p += len;
        if (i == 2)
            vic_value_push_null(r->L);
        else
            lua_pushboolean(r->L, i == 0);
        return true;
    }
    return json_fail(r, "not a value");
}

static bool read_value(struct reader *r)
{
    skip_space(r);
    if (r->p == r->end)
        return json_fail(r, "the text ends too early");
    if (*r->p == '{' || *r->p == '[')
        return read_nested(r);
    if (*r->p == '"')
        return json_read_string(r);
    if (*r->p == '-' || json_is_digit(r))
        return json_read_number(r);
    return read_word(r);
}

int vic_json_read(lua_State *L, const char *text, size_t len,
                  const struct vic_json_limits *limits, struct vic_error *err)
{
    struct reader r = { .L = L,
                        .start = text,
                        .p = text,
                        .end = text + len,
                        .big = limits->big,
                        .budget.most = limits->memory,
                        .err = err };
    size_t valid = vic_utf8_valid(text, len);

    if (valid < len) {
        r.p += valid;
        json_fail(&r, "text that is not UTF-8");
        return -1;
    }
    r.scratch = vic_value_text(L);
    if (!read_value(&r))
        return -1;
    skip_space(&r);
    if (r.p < r.end) {
        json_fail(&r, "more text after the value");
        return -1;
    }
    return 0;
}
