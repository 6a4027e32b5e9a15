/*
 * scalar: tables of words first, then numbers. Whatever is neither is text, also
 * timestamps and base 60.
 */
#include "scalar.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Longer ones are text: no number of Kubernetes has as many characters. */
#define LONGEST_NUMBER 400

static const struct word {
    const char *text;
    enum vic_scalar_kind kind;
    bool boolean;
} WORDS[] = {
    { "", VIC_SCALAR_NULL, false },         { "~", VIC_SCALAR_NULL, false },
    { "null", VIC_SCALAR_NULL, false },     { "Null", VIC_SCALAR_NULL, false },
    { "NULL", VIC_SCALAR_NULL, false },     { "y", VIC_SCALAR_BOOLEAN, true },
    { "Y", VIC_SCALAR_BOOLEAN, true },      { "yes", VIC_SCALAR_BOOLEAN, true },
    { "Yes", VIC_SCALAR_BOOLEAN, true },    { "YES", VIC_SCALAR_BOOLEAN, true },
    { "on", VIC_SCALAR_BOOLEAN, true },     { "On", VIC_SCALAR_BOOLEAN, true },
    { "ON", VIC_SCALAR_BOOLEAN, true },     { "true", VIC_SCALAR_BOOLEAN, true },
    { "True", VIC_SCALAR_BOOLEAN, true },   { "TRUE", VIC_SCALAR_BOOLEAN, true },
    { "n", VIC_SCALAR_BOOLEAN, false },     { "N", VIC_SCALAR_BOOLEAN, false },
    { "no", VIC_SCALAR_BOOLEAN, false },    { "No", VIC_SCALAR_BOOLEAN, false },
    { "NO", VIC_SCALAR_BOOLEAN, false },    { "off", VIC_SCALAR_BOOLEAN, false },
    { "Off", VIC_SCALAR_BOOLEAN, false },   { "OFF", VIC_SCALAR_BOOLEAN, false },
    { "false", VIC_SCALAR_BOOLEAN, false }, { "False", VIC_SCALAR_BOOLEAN, false },
    { "FALSE", VIC_SCALAR_BOOLEAN, false }, { ".nan", VIC_SCALAR_SPECIAL, false },
    { ".NaN", VIC_SCALAR_SPECIAL, false },  { ".NAN", VIC_SCALAR_SPECIAL, false },
    { ".inf", VIC_SCALAR_SPECIAL, false },  { ".Inf", VIC_SCALAR_SPECIAL, false },
    { ".INF", VIC_SCALAR_SPECIAL, false },  { "+.inf", VIC_SCALAR_SPECIAL, false },
    { "+.Inf", VIC_SCALAR_SPECIAL, false }, { "+.INF", VIC_SCALAR_SPECIAL, false },
    { "-.inf", VIC_SCALAR_SPECIAL, false }, { "-.Inf", VIC_SCALAR_SPECIAL, false },
    { "-.INF", VIC_SCALAR_SPECIAL, false },
};

#define WORDS_SIZE (sizeof(WORDS) / sizeof(WORDS[0]))

/* The word equal to `text`, or NULL. */
static const struct word *find_word(const char *text, size_t len,
                                    int (*compare)(const char *, const char *))
{
    size_t i;

    if (len > 5 || strlen(text) != len)
        return NULL;
    for (i = 0; i < WORDS_SIZE; i++)
        if (compare(WORDS[i].text, text) == 0)
            return &WORDS[i];
    return NULL;
}

static bool scalar_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int digit_value(char c)
{
    if (scalar_is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return INT_MAX;
}

/* The base by the prefix 0x, 0o, 0b or 0; moves over it. */
static int take_base(const char **s)
{
    if ((*s)[0] != '0' || (*s)[1] == '\0')
        return 10;
    switch ((*s)[1]) {
    case 'x':
    case 'X':
        *s += 2;
        return 16;
    case 'o':
    case 'O':
        *s += 2;
        return 8;
    case 'b':
    case 'B':
        *s += 2;
        return 2;
    default:
        *s += 1;
        return 8;
    }
}

/* Whether `s` is an integer; fills *out. */
static bool scalar_read_integer(const char *s, struct vic_scalar *out)
{
    bool negative = *s == '-';
    unsigned long long most = negative ? 1ULL + LLONG_MAX : LLONG_MAX;
    unsigned long long value = 0;
    int base;

    if (*s == '-' || *s == '+')
        s++;
    base = take_base(&s);
    if (*s == '\0')
        return false;
    out->kind = VIC_SCALAR_INTEGER;
    for (; *s; s++) {
        int digit = digit_value(*s);

        if (digit >= base)
            return false;
        if (value > (most - (unsigned)digit) / (unsigned)base)
            out->kind = VIC_SCALAR_TOO_BIG;
        value = value * (unsigned)base + (unsigned)digit;
    }
    out->integer = negative ? (long long)(0 - value) : (long long)value;
    return true;
}

/* Whether all of `s` is [-+]? (.digits | digits[.digits?]) ([eE][-+]?digits)? */
static bool looks_float(const char *s)
{
    size_t before;
    size_t after = 0;

    if (*s == '-' || *s == '+')
        s++;
    before = strspn(s, "0123456789");
    s += before;
    if (*s == '.')
        after = strspn(++s, "0123456789");
    s += after;
    if (before + after == 0)
        return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '-' || *s == '+')
            s++;
        if (!scalar_is_digit(*s))
            return false;
        s += strspn(s, "0123456789");
    }
    return *s == '\0';
}

/* Whether `s` is a float; one beyond a double's range is not. */
static bool read_float(const char *s, struct vic_scalar *out)
{
    if (!looks_float(s))
        return false;
    out->number = strtod(s, NULL);
    out->kind = VIC_SCALAR_FLOAT;
    return isfinite(out->number);
}

/* Copies `text` without underscores. */
static void without_underscores(char *to, const char *text)
{
    for (; *text; text++)
        if (*text != '_')
            *to++ = *text;
    *to = '\0';
}

/* Whether each underscore has a digit on either side. Go wants that of a number only
 * if it begins with a dot. */
static bool underscores_between_digits(const char *text)
{
    size_t i;

    for (i = 1; text[i]; i++)
        if (text[i] == '_' &&
            !(scalar_is_digit(text[i - 1]) && scalar_is_digit(text[i + 1])))
            return false;
    return true;
}

struct vic_scalar vic_scalar_resolve(const char *text, size_t len)
{
    static const struct vic_scalar as_text = { .kind = VIC_SCALAR_TEXT };
    const struct word *word = find_word(text, len, strcmp);
    struct vic_scalar out = as_text;
    char number[LONGEST_NUMBER];

    if (word) {
        out.kind = word->kind;
        out.boolean = word->boolean;
        return out;
    }
    if (len >= sizeof(number) || strlen(text) != len)
        return as_text;
    if (*text == '.' ? !underscores_between_digits(text)
                     : !scalar_is_digit(*text) && *text != '-' && *text != '+')
        return as_text;
    without_underscores(number, text);
    if ((*text != '.' && scalar_read_integer(number, &out)) || read_float(number, &out))
        return out;
    return as_text;
}

/* Whether a plain scalar may hold `c`, given the character after it. */
static bool plain_inside(unsigned char c, unsigned char next)
{
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
        return true;
    if (c == ' ' || c == ':')
        return next != '\0' && next != ' ';
    return scalar_is_digit((char)c) || (c != '\0' && strchr("_-./@%+=()", c));
}

bool vic_scalar_plain(const char *text, size_t len)
{
    unsigned char first = (unsigned char)*text;
    size_t i;

    if (!((first | 0x20) >= 'a' && (first | 0x20) <= 'z') && first != '/' && first != '_')
        return false;
    for (i = 0; i < len; i++)
        if (!plain_inside((unsigned char)text[i], (unsigned char)text[i + 1]))
            return false;
    return !find_word(text, len, strcasecmp);
}
