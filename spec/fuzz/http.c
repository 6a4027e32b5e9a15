/*
 * Fuzz target: what we make of a head of HTTP, as a client and as a server.
 *
 * The first byte of the input seeds the sizes of the pieces in which the rest, lines of a
 * head, comes; however it is cut, the lines must be the same. Each value then stands for
 * what a stranger may put there: a range, a URL, the location of a redirect, a header to
 * send on. Credentials must never reach another origin or a text that is shown.
 */
#include "answer.h"
#include "check.h"
#include "headers.h"
#include "lines.h"
#include "range.h"
#include "redirect.h"
#include "url.h"

#include "alloc.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define LINE_MOST 4096
#define BASE      "https://user:hunter2@vc.example/sdk?session=s3cret"

/* A digest of lines, in their order. */
static uint64_t mix(uint64_t sum, const char *bytes, size_t size)
{
    size_t i;

    for (i = 0; i < size; i++)
        sum = (sum ^ (unsigned char)bytes[i]) * 0x100000001b3ull;
    return (sum ^ size) * 0x100000001b3ull;
}

static void try_range(const char *value, uint64_t size)
{
    uint64_t first = 0, length = 0;

    if (vic_range_parse(value, size, &first, &length) == VIC_RANGE_PART)
        CHECK(length > 0 && first < size && length <= size - first);
}

static void try_url(const char *value)
{
    struct vic_error err;
    char shown[64];
    char *plain = vic_url_plain(value);

    vic_url_redact(value, shown, sizeof(shown));
    CHECK(memchr(shown, '\0', sizeof(shown)));
    if (plain) {
        char *again = vic_url_plain(plain);

        CHECK(again && strcmp(again, plain) == 0);
        free(again);
    }
    free(plain);
    if (vic_url_check(value, &err) == 0)
        CHECK(vic_url_same_origin(value, value) && !strpbrk(value, " \t\r\n"));
}

static void try_redirect(const char *location, int status)
{
    struct vic_ask ask = { .method = vic_strdup("GET"), .url = vic_strdup(BASE) };
    struct vic_error err;

    CHECK(vic_headers_add(&ask.headers, "Authorization", "Basic hunter2", &err) == 0);
    CHECK(vic_headers_add(&ask.headers, "Range", "bytes=0-1", &err) == 0);
    if (vic_redirect(&ask, status, location, false, &err) == 0) {
        CHECK(vic_url_is_https(ask.url) && vic_url_check(ask.url, &err) == 0);
        if (!vic_url_same_origin(ask.url, BASE)) {
            CHECK(!vic_headers_get(&ask.headers, "authorization"));
            CHECK(!strstr(ask.url, "hunter2") || strstr(location, "hunter2"));
        }
    }
    vic_ask_clear(&ask);
}

/* Sends a header on: it stays one line, and frames no body. */
static void try_header(const char *name, const char *value)
{
    struct vic_headers headers = { 0 };
    struct vic_error err;
    struct curl_slist *list, *at;

    if (vic_headers_add(&headers, name, value, &err) == 0) {
        list = vic_headers_slist(&headers);
        for (at = list; at; at = at->next)
            CHECK(!strpbrk(at->data, "\r\n") &&
                  strncasecmp(at->data, "content-length:", 15) != 0);
        curl_slist_free_all(list);
    }
    vic_headers_clear(&headers);
}

static void try_values(const struct vic_answer *answer)
{
    size_t i;

    CHECK(answer->headers.count <= 256);
    for (i = 0; i < answer->headers.count && i < 16; i++) {
        const struct vic_header *header = &answer->headers.list[i];

        try_range(header->value, 1 << 20);
        try_range(header->value, answer->head.bytes % 3);
        try_url(header->value);
        try_redirect(header->value, 301 + (int)(i % 8));
        try_header(header->name, header->value);
    }
    vic_answer_location(answer);
}

/* Takes out what is whole, without its end; the answer gets it as curl gives lines. */
static bool take_lines(struct vic_lines *lines, struct vic_answer *answer, uint64_t *sum)
{
    struct vic_error err;
    const char *line;
    size_t size;

    while ((line = vic_lines_next(lines, &size))) {
        CHECK(size <= LINE_MOST && !memchr(line, '\n', size));
        *sum = mix(*sum, line, size);
        if (answer && vic_answer_line(answer, line, size, &err) < 0) {
            CHECK(err.kind == VIC_HTTP && err.message[0]);
            return false;
        }
    }
    return true;
}

/* Whether every line was short enough; `seed` 0: all at once. */
static bool read_head(const char *data, size_t size, unsigned seed,
                      struct vic_answer *answer, uint64_t *sum)
{
    struct vic_lines lines = { .most = LINE_MOST };
    struct vic_error err;
    bool fits = true;

    while (size && fits) {
        size_t n = size;

        if (seed) {
            seed = seed * 1103515245u + 12345u;
            n = 1 + (seed >> 16) % 90;
            n = n < size ? n : size;
        }
        fits = vic_lines_add(&lines, data, n, &err) == 0;
        if (!take_lines(&lines, answer, sum))
            break;
        data += n;
        size -= n;
    }
    vic_lines_clear(&lines);
    return fits;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vic_answer answer = { 0 };
    uint64_t whole = 0, pieces = 0;
    const char *text = (const char *)data + 1;

    if (size == 0)
        return 0;
    if (read_head(text, size - 1, 0, NULL, &whole)) {
        CHECK(read_head(text, size - 1, 1u + data[0], NULL, &pieces));
        CHECK(whole == pieces);
    }
    read_head(text, size - 1, 0, &answer, &whole);
    try_values(&answer);
    vic_answer_clear(&answer);
    return 0;
}
