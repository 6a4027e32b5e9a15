/*
 * headers: see headers.h.
 */
#include "headers.h"

#include "alloc.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MOST_HEADERS 256
#define MOST_BYTES   (128 * 1024)

void vic_headers_clear(struct vic_headers *headers)
{
    size_t i;

    for (i = 0; i < headers->count; i++) {
        free(headers->list[i].name);
        free(headers->list[i].value);
    }
    free(headers->list);
    memset(headers, 0, sizeof(*headers));
}

/* Takes over both. */
static void headers_push(struct vic_headers *headers, char *name, char *value)
{
    headers->list =
        vic_realloc(headers->list, (headers->count + 1) * sizeof(*headers->list));
    headers->list[headers->count].name = name;
    headers->list[headers->count].value = value;
    headers->count++;
}

static struct vic_header *headers_find(const struct vic_headers *headers,
                                       const char *name)
{
    size_t i;

    for (i = 0; i < headers->count; i++)
        if (strcasecmp(headers->list[i].name, name) == 0)
            return &headers->list[i];
    return NULL;
}

const char *vic_headers_get(const struct vic_headers *headers, const char *name)
{
    const struct vic_header *header = headers_find(headers, name);

    return header ? header->value : NULL;
}

/* Source: RFC 9110 section 5.6.2. */
static bool is_token(const char *name)
{
    const char *at;

    for (at = name; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("!#$%&'*+-.^_`|~", *at))
            return false;
    return at > name;
}

int vic_headers_add(struct vic_headers *headers, const char *name, const char *value,
                    struct vic_error *err)
{
    static const char *const OURS[] = { "Content-Length", "Transfer-Encoding", "Expect" };
    size_t i;

    if (!is_token(name))
        return vic_error_set(err, VIC_INVALID, "a header's name is not a token");
    if (value[strcspn(value, "\r\n")])
        return vic_error_set(err, VIC_INVALID, "header %.100s: a line break in its value",
                             name);
    for (i = 0; i < sizeof(OURS) / sizeof(OURS[0]); i++)
        if (strcasecmp(name, OURS[i]) == 0)
            return vic_error_set(err, VIC_INVALID, "header %s cannot be set by hand",
                                 OURS[i]);
    headers_push(headers, vic_strdup(name), vic_strdup(value));
    return 0;
}

/* `more` after what the header has already. */
static void value_join(struct vic_header *header, const char *more, size_t size)
{
    const char *between = strcmp(header->name, "set-cookie") == 0 ? "\n" : ", ";
    size_t len = strlen(header->value);
    size_t gap = strlen(between);

    header->value = vic_realloc(header->value, len + gap + size + 1);
    memcpy(header->value + len, between, gap);
    memcpy(header->value + len + gap, more, size);
    header->value[len + gap + size] = '\0';
}

int vic_headers_parse(struct vic_headers *headers, const char *line, size_t size,
                      struct vic_error *err)
{
    const char *colon = memchr(line, ':', size);
    const char *end = line + size;
    struct vic_header *known;
    char *name;
    char *at;

    if (!colon || colon == line)
        return 0;
    if (headers->count >= MOST_HEADERS)
        return vic_error_set(err, VIC_HTTP, "the answer has too many headers");
    name = vic_strndup(line, (size_t)(colon - line));
    for (at = name; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    for (colon++; colon < end && isspace((unsigned char)*colon);)
        colon++;
    while (end > colon && isspace((unsigned char)end[-1]))
        end--;
    known = headers_find(headers, name);
    if (known) {
        value_join(known, colon, (size_t)(end - colon));
        free(name);
        return 0;
    }
    headers_push(headers, name, vic_strndup(colon, (size_t)(end - colon)));
    return 0;
}

void vic_headers_keep_harmless(struct vic_headers *headers)
{
    static const char *const HARMLESS[] = { "Accept", "Accept-Language", "Range",
                                            "User-Agent" };
    struct vic_headers kept = { 0 };
    size_t i;

    for (i = 0; i < sizeof(HARMLESS) / sizeof(HARMLESS[0]); i++) {
        const char *value = vic_headers_get(headers, HARMLESS[i]);

        if (value)
            headers_push(&kept, vic_strdup(HARMLESS[i]), vic_strdup(value));
    }
    vic_headers_clear(headers);
    *headers = kept;
}

struct curl_slist *vic_headers_slist(const struct vic_headers *headers)
{
    struct curl_slist *list = NULL;
    size_t i;

    for (i = 0; i < headers->count; i++) {
        const struct vic_header *header = &headers->list[i];
        size_t size = strlen(header->name) + strlen(header->value) + 3;
        char *line = vic_alloc(size);

        /* curl's way to say that the value is empty is a semicolon. */
        if (header->value[strspn(header->value, " \t")])
            snprintf(line, size, "%s: %s", header->name, header->value);
        else
            snprintf(line, size, "%s;", header->name);
        list = curl_slist_append(list, line);
        free(line);
    }
    return list;
}
