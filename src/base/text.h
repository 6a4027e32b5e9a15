/*
 * text: a string that grows, and what UTF-8 is.
 *
 * A struct vic_text of zeros is an empty one; its owner calls vic_text_fini().
 * Any thread, one at a time per text.
 */
#ifndef VIC_TEXT_H
#define VIC_TEXT_H

#include <stddef.h>
#include <time.h>

struct vic_text {
    char *data;  /* NULL until something is added; not terminated */
    size_t size; /* bytes used */
    size_t room; /* bytes allocated */
};

void vic_text_fini(struct vic_text *text);

void vic_text_add(struct vic_text *text, const void *data, size_t len);
void vic_text_char(struct vic_text *text, char c);
/* The character of that number, which is one of Unicode's. */
void vic_text_utf8(struct vic_text *text, long code);
void vic_text_puts(struct vic_text *text, const char *s);

/* The shortest decimal that reads back as `number`, which is finite; whole numbers
 * within 64 bits have neither fraction nor exponent. */
void vic_text_number(struct vic_text *text, double number);

/* RFC 3339 in UTC with 0 to 9 digits of fraction; the year is within 0 to 9999. */
void vic_text_time(struct vic_text *text, const struct timespec *when, int digits);

/* A JSON string in quotes of at most `max` bytes (SIZE_MAX: any), ending in an
 * ellipsis if it was cut. What is not UTF-8 becomes U+FFFD; what is not seen, or turns
 * the direction of writing, is escaped. */
void vic_text_json(struct vic_text *text, const char *s, size_t len, size_t max);

/* As it is, but it can neither move a terminal nor deceive who reads it: control
 * characters, and what is not seen or turns the direction of writing, are written as in
 * C, what is not UTF-8 as U+FFFD. At most `max` bytes, as above. */
void vic_text_visible(struct vic_text *text, const char *s, size_t len, size_t max);

/* The same of lines: their ends and tabs stay. */
void vic_text_lines(struct vic_text *text, const char *s, size_t len);

/* As vic_text_visible() in quotes, as the value of a label of Prometheus' text format 0.0.4. */
void vic_text_label(struct vic_text *text, const char *s, size_t len, size_t max);

/* How many of the first bytes are whole, valid UTF-8 characters: `len` if all are.
 * Source: RFC 3629 (no surrogates, no overlong forms, nothing beyond U+10FFFF). */
size_t vic_utf8_valid(const char *s, size_t len);

#endif
