/*
 * answer: see answer.h.
 */
#include "answer.h"

#include "alloc.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 4096
#define MOST_HEAD  ((size_t)256 * 1024)
#define MOST_LINES 4096u /* newer versions of curl end at 5000, in words of their own */

void vic_answer_clear(struct vic_answer *answer)
{
    vic_headers_clear(&answer->headers);
    free(answer->body);
    free(answer->url);
    memset(answer, 0, sizeof(*answer));
}

/* Versions of curl differ in what they pass on. */
static bool is_one_line(const char *line, size_t size)
{
    while (size && (line[size - 1] == '\n' || line[size - 1] == '\r'))
        size--;
    return !memchr(line, '\r', size) && !memchr(line, '\n', size) &&
           !memchr(line, '\0', size);
}

/* Of "HTTP/1.1 200 OK"; 0 if it is none. */
static int status_of(const char *line, size_t size)
{
    const char *at = memchr(line, ' ', size);
    int status = 0;
    int digits = 0;

    for (at = at ? at + 1 : line + size; at < line + size && digits < 3; at++, digits++) {
        if (!isdigit((unsigned char)*at))
            return 0;
        status = 10 * status + *at - '0';
    }
    if (at < line + size && isdigit((unsigned char)*at))
        return 0;
    return digits == 3 ? status : 0;
}

int vic_head_size_add(struct vic_head_size *head, size_t size, struct vic_error *err)
{
    head->bytes += size;
    if (head->bytes > MOST_HEAD || ++head->lines > MOST_LINES)
        return vic_error_set(
            err, VIC_HTTP,
            "the answer's head is too large: more than %zu KiB or %u lines",
            MOST_HEAD / 1024, MOST_LINES);
    return 0;
}

int vic_answer_line(struct vic_answer *answer, const char *line, size_t size,
                    struct vic_error *err)
{
    if (vic_head_size_add(&answer->head, size, err))
        return -1;
    if (size >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        vic_headers_clear(&answer->headers);
        answer->complete = false;
        answer->status = status_of(line, size);
        return answer->status ? 0
                              : vic_error_set(err, VIC_HTTP,
                                              "the answer has no status of three digits");
    }
    if (answer->complete)
        return 0; /* a trailer behind a chunked body: nobody asked for it */
    if (!is_one_line(line, size))
        return vic_error_set(err, VIC_HTTP, "a header of the answer is not one line");
    if (size > 2)
        return vic_headers_parse(&answer->headers, line, size, err);
    answer->complete = answer->status >= 200 || answer->status == 101;
    return 0;
}

int vic_answer_bytes(struct vic_answer *answer, const char *bytes, size_t size,
                     size_t most, struct vic_error *err)
{
    size_t have = answer->body_size;
    size_t room = answer->body_room ? answer->body_room : FIRST_ROOM;

    if (size > most - have)
        return vic_error_set(err, VIC_HTTP, "the answer is larger than %zu bytes", most);
    while (room < have + size)
        room *= 2;
    if (room != answer->body_room)
        answer->body = vic_realloc(answer->body, room);
    answer->body_room = room;
    memcpy(answer->body + have, bytes, size);
    answer->body_size += size;
    return 0;
}

const char *vic_answer_location(const struct vic_answer *answer)
{
    switch (answer->status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return vic_headers_get(&answer->headers, "location");
    default:
        return NULL;
    }
}
