/*
 * upload: see upload.h. curl sends a head and its body one after the other, so each part
 * of the body is looked at when curl asks for it.
 */
#include "upload.h"

#include "clock.h"
#include "deadline.h"

#include <stdio.h>
#include <string.h>

bool vic_upload_is_late(const struct vic_upload *upload)
{
    return upload->before > 0 && vic_clock(CLOCK_BOOTTIME) >= upload->before;
}

static size_t upload_on_read(char *buffer, size_t one, size_t size, void *arg)
{
    struct vic_upload *u = arg;
    size_t left = u->size - u->sent;
    size_t n = left < one * size ? left : one * size;

    if (vic_upload_is_late(u))
        return CURL_READFUNC_ABORT;
    vic_deadline_touch(u->deadline);
    memcpy(buffer, u->body + u->sent, n);
    u->sent += n;
    return n;
}

/* curl sends the body again: a kept connection turned out to be dead. */
static int upload_on_seek(void *arg, curl_off_t offset, int origin)
{
    struct vic_upload *u = arg;

    if (origin != SEEK_SET || offset < 0 || (size_t)offset > u->size)
        return CURL_SEEKFUNC_FAIL;
    u->sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

void vic_upload_apply(struct vic_upload *u, CURL *easy)
{
    u->sent = 0;
    if (!u->body)
        return;
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)u->size);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, upload_on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, u);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, upload_on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, u);
}
