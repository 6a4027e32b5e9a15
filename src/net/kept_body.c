#include "kept_body.h"

#include "least.h"

#define SMALL ((size_t)256 * 1024) /* bytes that need no share of the room */

/* What the whole body may need. */
static size_t most_needed(CURL *easy, size_t most)
{
    curl_off_t length = -1;

    curl_easy_getinfo(easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    return length >= 0 ? vic_least_size((uint64_t)length, most) : most;
}

int vic_kept_body_add(struct vic_answer *answer, CURL *easy, struct vic_share *share,
                      const char *bytes, size_t size, size_t most, struct vic_error *err)
{
    if (share && !share->held && answer->body_size + size > SMALL &&
        !vic_room_ask(share, most_needed(easy, most)))
        return 1;
    return vic_answer_bytes(answer, bytes, size, most, err);
}
