/*
 * text: growing strings. Lengths are size_t sums of data that is already in memory,
 * so they cannot overflow.
 */
#include "text.h"

#include "alloc.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define ELLIPSIS    "\xe2\x80\xa6" /* U+2026 */

void vic_text_fini(struct vic_text *text)
{
    free(text->data);
    memset(text, 0, sizeof(*text));
}

void vic_text_add(struct vic_text *text, const void *data, size_t len)
{
    if (len == 0)
        return;
    if (len > text->room - text->size) {
        text->room = 2 * text->room + len + 64;
        text->data = vic_realloc(text->data, text->room);
    }
    memcpy(text->data + text->size, data, len);
    text->size += len;
}

void vic_text_char(struct vic_text *text, char c)
{
    vic_text_add(text, &c, 1);
}

void vic_text_utf8(struct vic_text *text, long code)
{
    if (code < 0x80) {
        vic_text_char(text, (char)code);
        return;
    }
    if (code < 0x800) {
        vic_text_char(text, (char)(0xc0 | code >> 6));
    } else {
        if (code < 0x10000) {
            vic_text_char(text, (char)(0xe0 | code >> 12));
        } else {
            vic_text_char(text, (char)(0xf0 | code >> 18));
            vic_text_char(text, (char)(0x80 | (code >> 12 & 0x3f)));
        }
        vic_text_char(text, (char)(0x80 | (code >> 6 & 0x3f)));
    }
    vic_text_char(text, (char)(0x80 | (code & 0x3f)));
}

void vic_text_puts(struct vic_text *text, const char *s)
{
    vic_text_add(text, s, strlen(s));
}

void vic_text_number(struct vic_text *text, double number)
{
    char digits[40];
    int precision;

    if (number >= -0x1p63 && number < 0x1p63 && number == (double)(long long)number) {
        snprintf(digits, sizeof(digits), "%lld", (long long)number);
    } else {
        for (precision = 15; precision <= 17; precision++) {
            snprintf(digits, sizeof(digits), "%.*g", precision, number);
            if (strtod(digits, NULL) == number)
                break;
        }
    }
    vic_text_puts(text, digits);
}

void vic_text_time(struct vic_text *text, const struct timespec *when, int digits)
{
    char stamp[40];
    char fraction[16];
    struct tm tm;

    gmtime_r(&when->tv_sec, &tm);
    snprintf(stamp, sizeof(stamp), "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    vic_text_puts(text, stamp);
    if (digits > 0) {
        snprintf(fraction, sizeof(fraction), ".%09ld", when->tv_nsec);
        vic_text_add(text, fraction, 1 + (size_t)digits);
    }
    vic_text_char(text, 'Z');
}

/* How the character of `len` bytes at `s` is written; NULL: as it is. `buffer` has
 * room for the answer. */
#define ESCAPED 24
typedef const char *escape_fn(const char *s, size_t len, char buffer[ESCAPED]);

static unsigned code_of(const char *s, size_t len)
{
    const unsigned char *u = (const unsigned char *)s;
    unsigned code = len == 1 ? u[0] : u[0] & (0xff >> (len + 1));
    size_t i;

    for (i = 1; i < len; i++)
        code = code << 6 | (u[i] & 0x3f);
    return code;
}

/* What moves a terminal, turns the direction of writing, or is not seen: controls; the
 * soft hyphen; marks, embeddings, overrides and isolates of direction; separators of
 * lines; zero width without being a joiner of letters; annotations; tags. */
static bool is_hidden(unsigned code)
{
    static const struct {
        unsigned first, last;
    } HIDDEN[] = {
        { 0x0000, 0x001f }, { 0x007f, 0x009f }, { 0x00ad, 0x00ad }, { 0x061c, 0x061c },
        { 0x180e, 0x180e }, { 0x200b, 0x200b }, { 0x200e, 0x200f }, { 0x2028, 0x202e },
        { 0x2060, 0x206f }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
    };
    size_t i;

    for (i = 0; i < sizeof(HIDDEN) / sizeof(HIDDEN[0]); i++)
        if (code <= HIDDEN[i].last)
            return code >= HIDDEN[i].first;
    return false;
}

/* "\n" and its like, or NULL. */
static const char *short_escape(unsigned code)
{
    return code == '\n' ? "\\n" : code == '\r' ? "\\r" : code == '\t' ? "\\t" : NULL;
}

static const char *json_escape(const char *s, size_t len, char buffer[ESCAPED])
{
    unsigned code = code_of(s, len);

    if (code == '"')
        return "\\\"";
    if (code == '\\')
        return "\\\\";
    if (!is_hidden(code))
        return NULL;
    if (short_escape(code))
        return short_escape(code);
    if (code > 0xffff)
        snprintf(buffer, ESCAPED, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
                 0xdc00 + ((code - 0x10000) & 0x3ff));
    else
        snprintf(buffer, ESCAPED, "\\u%04x", code);
    return buffer;
}

static const char *visible_escape(const char *s, size_t len, char *buffer)
{
    unsigned code = code_of(s, len);

    if (!is_hidden(code))
        return NULL;
    if (short_escape(code))
        return short_escape(code);
    snprintf(buffer, ESCAPED - 1,
             code > 0xffff ? "\\U%08x"
             : code > 0xff ? "\\u%04x"
                           : "\\x%02x",
             code);
    return buffer;
}

/* The format has three escapes of its own; of any other the backslash is escaped. */
static const char *label_escape(const char *s, size_t len, char buffer[ESCAPED])
{
    char escaped[ESCAPED - 1];
    const char *as;

    switch (*s) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    default:
        as = visible_escape(s, len, escaped);
        if (as)
            snprintf(buffer, ESCAPED, "\\%s", as);
        return as ? buffer : NULL;
    }
}

/* Length of the valid character at `s`, 0 if there is none. */
static size_t character(const char *s, size_t len)
{
    const unsigned char *u = (const unsigned char *)s;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    size_t need;
    size_t i;

    if (len == 0)
        return 0;
    if (u[0] < 0x80)
        return 1;
    if (u[0] < 0xc2 || u[0] > 0xf4)
        return 0;
    need = u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
    if (u[0] == 0xe0)
        low = 0xa0;
    else if (u[0] == 0xed)
        high = 0x9f;
    else if (u[0] == 0xf0)
        low = 0x90;
    else if (u[0] == 0xf4)
        high = 0x8f;
    if (need > len || u[1] < low || u[1] > high)
        return 0;
    for (i = 2; i < need; i++)
        if (u[i] < 0x80 || u[i] > 0xbf)
            return 0;
    return need;
}

static void add_escaped(struct vic_text *text, const char *s, size_t len, size_t max,
                        escape_fn *escape)
{
    const char *end = s + len;
    size_t start = text->size;

    while (s < end) {
        char buffer[ESCAPED];
        size_t n = character(s, (size_t)(end - s));
        const char *as = n ? escape(s, n, buffer) : REPLACEMENT;
        size_t size = as ? strlen(as) : n;

        if (text->size - start + size > max) {
            vic_text_puts(text, ELLIPSIS);
            return;
        }
        vic_text_add(text, as ? as : s, size);
        s += n ? n : 1;
    }
}

void vic_text_json(struct vic_text *text, const char *s, size_t len, size_t max)
{
    vic_text_char(text, '"');
    add_escaped(text, s, len, max, json_escape);
    vic_text_char(text, '"');
}

void vic_text_visible(struct vic_text *text, const char *s, size_t len, size_t max)
{
    add_escaped(text, s, len, max, visible_escape);
}

void vic_text_lines(struct vic_text *text, const char *s, size_t len)
{
    const char *end = s + len;
    const char *at = s;

    for (; s < end; s = at) {
        while (at < end && *at != '\n' && *at != '\t')
            at++;
        vic_text_visible(text, s, (size_t)(at - s), SIZE_MAX);
        for (; at < end && (*at == '\n' || *at == '\t'); at++)
            vic_text_char(text, *at);
    }
}

void vic_text_label(struct vic_text *text, const char *s, size_t len, size_t max)
{
    vic_text_char(text, '"');
    add_escaped(text, s, len, max, label_escape);
    vic_text_char(text, '"');
}

size_t vic_utf8_valid(const char *s, size_t len)
{
    size_t done = 0;
    size_t n;

    while ((n = character(s + done, len - done)) > 0)
        done += n;
    return done;
}
