/*
 * text: growing strings. Lengths are size_t sums of data that is already in memory,
 * so they cannot overflow.
 */
#include "text.h"

#include "alloc.h"

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
typedef const char *escape_fn(const char *s, size_t len, char buffer[8]);

static const char *json_escape(const char *s, size_t len, char buffer[8])
{
    unsigned char c = (unsigned char)*s;

    if (len != 1 || (c >= 0x20 && c != '"' && c != '\\'))
        return NULL;
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        snprintf(buffer, 8, "\\u%04x", c);
        return buffer;
    }
}

static const char *visible_escape(const char *s, size_t len, char buffer[8])
{
    unsigned char c = (unsigned char)*s;

    if (len == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0) /* U+0080 to U+009F */
        c = (unsigned char)s[1];
    else if (len != 1 || (c >= 0x20 && c != 0x7f))
        return NULL;
    switch (c) {
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        snprintf(buffer, 8, "\\x%02x", c);
        return buffer;
    }
}

static const char *label_escape(const char *s, size_t len, char buffer[8])
{
    (void)len, (void)buffer;
    switch (*s) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    default:
        return NULL;
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
        char buffer[8];
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
