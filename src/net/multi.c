/*
 * multi: see multi.h. curl says which sockets it wants watched and when it wants
 * to be woken; libuv does both. Nothing is polled.
 */
#include "multi.h"

#include "alloc.h"
#include "tls.h"

#include <stdlib.h>
#include <string.h>

enum { IDLE, WAITING, RUNNING };

struct vic_multi {
    uv_loop_t *loop;
    uv_timer_t timer; /* its close callback frees the whole struct */
    CURLM *curl;
    CURLSH *share; /* of cookies; NULL if none are kept */
    struct vic_tls *tls;
    char *cert;
    char *key;
    unsigned max_active;
    unsigned active; /* running and counted */
    unsigned refs;
    struct vic_multi_entry *first; /* in line */
    struct vic_multi_entry **last;
};

/* A socket of curl's. Freed by libuv's close callback. */
struct watch {
    uv_poll_t poll;
    struct vic_multi *multi;
    curl_socket_t socket;
};

static void entry_start(struct vic_multi *multi, struct vic_multi_entry *entry)
{
    entry->state = RUNNING;
    if (!entry->unlimited)
        multi->active++;
    if (entry->started)
        entry->started(entry);
    curl_multi_add_handle(multi->curl, entry->easy);
}

static void line_advance(struct vic_multi *multi)
{
    while (multi->first && multi->active < multi->max_active) {
        struct vic_multi_entry *entry = multi->first;

        multi->first = entry->next;
        if (!multi->first)
            multi->last = &multi->first;
        entry_start(multi, entry);
    }
}

static void entry_stop(struct vic_multi *multi, struct vic_multi_entry *entry)
{
    curl_multi_remove_handle(multi->curl, entry->easy);
    entry->state = IDLE;
    if (!entry->unlimited)
        multi->active--;
}

/* Tells the owners of finished transfers. They may drop the last other reference. */
static void multi_reap(struct vic_multi *multi)
{
    CURLMsg *message;
    int left;

    vic_multi_ref(multi);
    while ((message = curl_multi_info_read(multi->curl, &left)) != NULL) {
        CURLcode code = message->data.result;
        struct vic_multi_entry *entry = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&entry);
        entry_stop(multi, entry);
        entry->done(entry, code);
    }
    line_advance(multi);
    vic_multi_unref(multi);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    int flags = 0;
    int running;

    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(watch->multi->curl, watch->socket, flags, &running);
    multi_reap(watch->multi);
}

static void multi_on_timer(uv_timer_t *timer)
{
    struct vic_multi *multi = timer->data;
    int running;

    curl_multi_socket_action(multi->curl, CURL_SOCKET_TIMEOUT, 0, &running);
    multi_reap(multi);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static struct watch *watch_new(struct vic_multi *multi, curl_socket_t socket)
{
    struct watch *watch = vic_alloc(sizeof(*watch));

    watch->multi = multi;
    watch->socket = socket;
    if (uv_poll_init(multi->loop, &watch->poll, socket) < 0) {
        free(watch);
        return NULL;
    }
    watch->poll.data = watch;
    curl_multi_assign(multi->curl, socket, watch);
    return watch;
}

/* curl wants `socket` watched in another way. */
static int on_socket(CURL *easy, curl_socket_t socket, int what, void *arg, void *mine)
{
    struct vic_multi *multi = arg;
    struct watch *watch = mine;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch) {
            curl_multi_assign(multi->curl, socket, NULL);
            uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
        }
        return 0;
    }
    if (!watch)
        watch = watch_new(multi, socket);
    if (!watch)
        return -1;
    if (what != CURL_POLL_OUT)
        events |= UV_READABLE;
    if (what != CURL_POLL_IN)
        events |= UV_WRITABLE;
    uv_poll_start(&watch->poll, events, on_poll);
    return 0;
}

/* curl wants to be called in `ms`. Not in 0: a timer that is due at once is run
 * again within the same turn of the loop, and a fast server could keep it there. */
static int multi_on_timeout(CURLM *curl, long ms, void *arg)
{
    struct vic_multi *multi = arg;

    (void)curl;
    if (ms < 0)
        uv_timer_stop(&multi->timer);
    else
        uv_timer_start(&multi->timer, multi_on_timer, ms ? (uint64_t)ms : 1, 0);
    return 0;
}

static struct curl_blob blob_of(const char *text)
{
    struct curl_blob blob = { (void *)text, strlen(text), CURL_BLOB_COPY };

    return blob;
}

struct vic_multi *vic_multi_new(uv_loop_t *loop, const struct vic_multi_opts *opts,
                                struct vic_error *err)
{
    struct vic_multi *multi;
    CURLM *curl = curl_multi_init();

    if (!curl) {
        vic_tls_free(opts->tls);
        vic_error_set(err, VIC_INTERNAL, "curl made no multi handle");
        return NULL;
    }
    multi = vic_alloc(sizeof(*multi));
    multi->loop = loop;
    multi->curl = curl;
    multi->tls = opts->tls;
    multi->cert = vic_strdup(opts->cert);
    multi->key = vic_strdup(opts->key);
    multi->max_active = opts->max_active ? opts->max_active : 8;
    multi->refs = 1;
    multi->last = &multi->first;
    uv_timer_init(loop, &multi->timer);
    multi->timer.data = multi;

    curl_multi_setopt(curl, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(curl, CURLMOPT_SOCKETDATA, multi);
    curl_multi_setopt(curl, CURLMOPT_TIMERFUNCTION, multi_on_timeout);
    curl_multi_setopt(curl, CURLMOPT_TIMERDATA, multi);
    curl_multi_setopt(curl, CURLMOPT_MAXCONNECTS, (long)multi->max_active);
    if (opts->cookies) {
        multi->share = curl_share_init();
        curl_share_setopt(multi->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE);
    }
    return multi;
}

struct vic_multi *vic_multi_ref(struct vic_multi *multi)
{
    multi->refs++;
    return multi;
}

static void on_multi_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void vic_multi_unref(struct vic_multi *multi)
{
    if (!multi || --multi->refs > 0)
        return;
    curl_multi_cleanup(multi->curl);
    if (multi->share)
        curl_share_cleanup(multi->share);
    vic_tls_free(multi->tls);
    if (multi->key)
        explicit_bzero(multi->key, strlen(multi->key));
    free(multi->key);
    free(multi->cert);
    uv_close((uv_handle_t *)&multi->timer, on_multi_closed);
}

uv_loop_t *vic_multi_loop(const struct vic_multi *multi)
{
    return multi->loop;
}

struct vic_tls *vic_multi_tls(const struct vic_multi *multi)
{
    return multi->tls;
}

CURL *vic_multi_easy(struct vic_multi *multi, struct vic_error *err)
{
    CURL *easy = curl_easy_init();
    CURLcode code = CURLE_OK;

    if (!easy) {
        vic_error_set(err, VIC_INTERNAL, "curl made no handle");
        return NULL;
    }
#define SET(option, value) (code = code ? code : curl_easy_setopt(easy, option, value))
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* else ending it waits for getaddrinfo */
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    if (multi->share) {
        SET(CURLOPT_SHARE, multi->share);
        SET(CURLOPT_COOKIEFILE, ""); /* turns the cookie engine on, reads nothing */
    }
    if (multi->cert && multi->key) {
        struct curl_blob cert = blob_of(multi->cert);
        struct curl_blob key = blob_of(multi->key);

        SET(CURLOPT_SSLCERT_BLOB, &cert);
        SET(CURLOPT_SSLKEY_BLOB, &key);
    }
#undef SET
    if (code)
        vic_error_set(err, VIC_INTERNAL, "curl refused an option: %s",
                      curl_easy_strerror(code));
    if (code || vic_tls_apply(multi->tls, easy, err) < 0) {
        curl_easy_cleanup(easy);
        return NULL;
    }
    return easy;
}

void vic_multi_add(struct vic_multi *multi, struct vic_multi_entry *entry)
{
    curl_easy_setopt(entry->easy, CURLOPT_PRIVATE, entry);
    if (entry->unlimited || multi->active < multi->max_active) {
        entry_start(multi, entry);
        return;
    }
    entry->state = WAITING;
    entry->next = NULL;
    *multi->last = entry;
    multi->last = &entry->next;
}

static void line_leave(struct vic_multi *multi, struct vic_multi_entry *entry)
{
    struct vic_multi_entry **at = &multi->first;

    while (*at && *at != entry)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = entry->next;
    if (!*at)
        multi->last = at;
    entry->state = IDLE;
}

void vic_multi_remove(struct vic_multi *multi, struct vic_multi_entry *entry)
{
    if (entry->state == WAITING) {
        line_leave(multi, entry);
    } else if (entry->state == RUNNING) {
        entry_stop(multi, entry);
        line_advance(multi);
    }
}

void vic_multi_clear_cookies(struct vic_multi *multi)
{
    CURL *easy;

    if (!multi->share)
        return;
    easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_SHARE, multi->share);
    curl_easy_setopt(easy, CURLOPT_COOKIEFILE, "");
    curl_easy_setopt(easy, CURLOPT_COOKIELIST, "ALL");
    curl_easy_cleanup(easy);
}
