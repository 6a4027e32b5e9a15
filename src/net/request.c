/*
 * request: see request.h. Every hop of a redirect has a curl handle of its own, so
 * that nothing of the last one can be sent along by mistake.
 *
 * Time-outs: curl's own until the connection stands (it then tries a host's other
 * addresses in time), ours from then on, because curl's speed limit is too coarse.
 */
#include "request.h"

#include "alloc.h"
#include "ask.h"
#include "clock.h"
#include "deadline.h"
#include "failure.h"
#include "kept_body.h"
#include "multi.h"
#include "reach.h"
#include "redirect.h"
#include "request_log.h"
#include "upload.h"
#include "url.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vic_request {
    struct vic_multi_entry entry; /* first, so that an entry is its request */
    struct vic_multi *multi;
    struct vic_request_opts opts; /* what it points to is in `ask` */
    struct vic_ask ask;
    struct curl_slist *header_list;
    struct vic_upload upload; /* of this hop */
    unsigned hops;
    char *task;   /* for the log, or NULL */
    double began; /* vic_now() then */

    struct vic_reach reach; /* of this hop */
    struct vic_deadline deadline;
    bool streams; /* the body goes to on_bytes */
    struct vic_share share;
    bool paused;
    bool ended;
    bool failed;
    struct vic_error error;
    struct vic_answer answer;
    char curl_error[CURL_ERROR_SIZE];
};

/* The first failure counts. */
static void request_note(struct vic_request *r, const struct vic_error *err)
{
    char what[500];

    if (r->failed)
        return;
    r->failed = true;
    vic_failure_what(r->ask.method, r->ask.url, r->opts.discreet, what, sizeof(what));
    vic_error_set(&r->error, err->kind, "%s: %.500s", what, err->message);
}

void vic_request_what(const struct vic_request *r, char *what, size_t size)
{
    vic_failure_what(r->ask.method, r->ask.url, r->opts.discreet, what, size);
}

/* ---- the end ---- */

static void on_gone(void *arg)
{
    struct vic_request *r = arg;

    r->opts.done(r->opts.arg);
}

static void hop_drop(struct vic_request *r)
{
    if (r->entry.easy) {
        vic_multi_remove(r->multi, &r->entry);
        curl_easy_cleanup(r->entry.easy);
    }
    r->entry.easy = NULL;
    curl_slist_free_all(r->header_list);
    r->header_list = NULL;
}

/* Says in the answer who gave it. */
static void answer_sign(struct vic_request *r)
{
    const struct vic_tls_peer *peer = NULL;

    if (r->answer.url)
        return;
    r->answer.url = vic_url_plain(r->ask.url);
    if (vic_url_is_https(r->ask.url))
        peer = vic_tls_peer(vic_multi_tls(r->multi), r->ask.url);
    if (peer) {
        r->answer.peer = *peer;
        r->answer.has_peer = true;
    }
}

static void request_say(const struct vic_request *r)
{
    char *name = r->opts.discreet ? vic_url_name(r->ask.url) : NULL;
    struct vic_request_log said = {
        .task = r->task,
        .method = r->ask.method,
        .url = name ? name : r->ask.url,
        .status = r->answer.status,
        .began = r->began,
        .problem = r->failed ? r->error.message : NULL,
    };

    vic_request_log(&said);
    free(name);
}

static void request_end(struct vic_request *r)
{
    if (r->ended)
        return;
    r->ended = true;
    request_say(r);
    hop_drop(r);
    answer_sign(r);
    vic_deadline_close(&r->deadline, on_gone);
}

static void request_fail(struct vic_request *r, const struct vic_error *err)
{
    request_note(r, err);
    request_end(r);
}

static void on_expired(void *arg, bool total)
{
    struct vic_request *r = arg;
    struct vic_error err;

    if (total)
        vic_error_set(&err, VIC_TIMEOUT, "timed out after %g s", r->opts.total_timeout);
    else
        vic_error_set(&err, VIC_TIMEOUT, "timed out after %g s without a byte",
                      r->opts.timeout);
    request_fail(r, &err);
}

/* ---- curl's callbacks ---- */

/* The connection stands; nothing was sent yet. */
static int on_connected(void *arg, char *ip, char *local_ip, int port, int local_port)
{
    struct vic_request *r = arg;

    (void)ip;
    (void)local_ip;
    (void)port;
    (void)local_port;
    if (vic_upload_is_late(&r->upload))
        return CURL_PREREQFUNC_ABORT;
    vic_deadline_watch(&r->deadline, true);
    return CURL_PREREQFUNC_OK;
}

static bool will_redirect(const struct vic_request *r)
{
    return r->opts.follow && vic_answer_location(&r->answer);
}

static size_t request_on_header(char *line, size_t one, size_t size, void *arg)
{
    struct vic_request *r = arg;
    bool was_complete = r->answer.complete;
    struct vic_error err;

    (void)one;
    if (!was_complete) /* a trailer is no progress */
        vic_deadline_touch(&r->deadline);
    if (vic_answer_line(&r->answer, line, size, &err) < 0) {
        request_note(r, &err);
        return 0;
    }
    if (r->answer.complete && !was_complete && r->opts.on_head && !will_redirect(r)) {
        answer_sign(r);
        r->streams = r->opts.on_head(r->opts.arg);
    }
    return size;
}

/* Not from inside a callback of curl's: nobody leaves the room there. */
static void on_share(struct vic_share *share)
{
    vic_request_resume(
        (struct vic_request *)((char *)share - offsetof(struct vic_request, share)));
}

static size_t request_on_write(char *bytes, size_t one, size_t size, void *arg)
{
    struct vic_request *r = arg;
    struct vic_error err;
    int result;

    (void)one;
    vic_deadline_touch(&r->deadline);
    if (r->streams)
        result = r->opts.on_bytes(r->opts.arg, bytes, size, &err);
    else
        result = vic_kept_body_add(&r->answer, r->entry.easy,
                                   r->opts.shares ? &r->share : NULL, bytes, size,
                                   r->opts.max_body, &err);
    if (result > 0) {
        r->paused = true;
        vic_deadline_watch(&r->deadline, false);
        return CURL_WRITEFUNC_PAUSE;
    }
    if (result < 0) {
        request_note(r, &err);
        return 0;
    }
    return size;
}

/* ---- one hop ---- */

static void hop_callbacks(struct vic_request *r, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->curl_error);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, r);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, request_on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, r);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, request_on_write);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
}

static void hop_start(struct vic_request *r)
{
    struct vic_error err;
    CURL *easy;

    r->reach.refused[0] = '\0';
    if (vic_reach_check(&r->reach, r->ask.url, &err) < 0) {
        request_fail(r, &err);
        return;
    }
    easy = vic_multi_easy(r->multi, &err);
    if (!easy) {
        request_fail(r, &err);
        return;
    }
    r->entry.easy = easy;
    r->header_list = vic_ask_headers(&r->ask);
    vic_deadline_watch(&r->deadline, false);
    r->curl_error[0] = '\0';
    hop_callbacks(r, easy);
    r->upload = (struct vic_upload){
        .body = r->ask.with_body ? r->ask.body : NULL,
        .size = r->ask.body_size,
        .before = r->opts.before,
        .deadline = &r->deadline,
    };
    vic_upload_apply(&r->upload, easy);
    vic_reach_apply(&r->reach, easy);
    curl_easy_setopt(easy, CURLOPT_URL, r->ask.url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, r->header_list);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, r->opts.user_agent);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)vic_milliseconds(r->opts.connect_timeout));
    /* curl sends a request again whose kept connection ends before any answer. */
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, r->opts.once ? 1L : 0L);
    if (strcmp(r->ask.method, "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, r->ask.method);
    vic_multi_add(r->multi, &r->entry);
}

static void redirect(struct vic_request *r)
{
    struct vic_error err;

    hop_drop(r);
    if (++r->hops > r->opts.follow) {
        vic_error_set(&err, VIC_HTTP, "more than %u redirects", r->opts.follow);
        request_fail(r, &err);
    } else if (vic_redirect(&r->ask, r->answer.status, vic_answer_location(&r->answer),
                            r->opts.stay, &err) < 0) {
        request_fail(r, &err);
    } else {
        vic_answer_clear(&r->answer);
        vic_room_leave(&r->share);
        hop_start(r);
    }
}

static void hop_done(struct vic_multi_entry *entry, CURLcode code)
{
    struct vic_request *r = (struct vic_request *)entry;
    struct vic_error err;
    char what[500];

    if (code == CURLE_OK && will_redirect(r)) {
        redirect(r);
        return;
    }
    if (code == CURLE_ABORTED_BY_CALLBACK && vic_upload_is_late(&r->upload)) {
        vic_error_set(&err, VIC_CANCELLED, "not sent, or not to its end: it is too late");
        request_note(r, &err);
    }
    if (code == CURLE_OK && !r->answer.complete && !r->failed) {
        vic_error_set(&err, VIC_CONNECT, "the connection broke within the answer's head");
        request_note(r, &err);
    }
    if (code != CURLE_OK && !r->failed) {
        struct vic_failure failure = { entry->easy,   code,
                                       r->curl_error, vic_multi_tls(r->multi),
                                       r->ask.url,    r->opts.connect_timeout,
                                       &r->reach };

        r->failed = true;
        vic_failure_what(r->ask.method, r->ask.url, r->opts.discreet, what, sizeof(what));
        vic_failure_error(&failure, what, &r->error);
    }
    request_end(r);
}

/* ---- for the maker ---- */

struct vic_request *vic_request_start(struct vic_multi *multi,
                                      const struct vic_request_opts *opts,
                                      struct vic_error *err)
{
    struct vic_request *r;
    struct vic_ask ask;

    if (vic_ask_init(&ask, opts, err) < 0)
        return NULL;
    r = vic_alloc(sizeof(*r));
    r->multi = vic_multi_ref(multi);
    r->opts = *opts;
    r->ask = ask;
    r->task = opts->task ? vic_strdup(opts->task) : NULL;
    r->began = vic_now();
    r->entry.done = hop_done;
    r->entry.unlimited = opts->unlimited;
    r->share.given = on_share;
    r->reach.anywhere = opts->anywhere;

    vic_deadline_init(&r->deadline, vic_multi_loop(multi), opts->timeout,
                      opts->total_timeout, on_expired, r);
    hop_start(r);
    return r;
}

void vic_request_cancel(struct vic_request *r)
{
    struct vic_error err;

    if (r->ended)
        return;
    vic_error_set(&err, VIC_CANCELLED, "cancelled");
    request_fail(r, &err);
}

void vic_request_resume(struct vic_request *r)
{
    if (r->ended || !r->paused)
        return;
    r->paused = false;
    vic_deadline_watch(&r->deadline, true);
    curl_easy_pause(r->entry.easy, CURLPAUSE_CONT);
    if (r->failed) /* by what it was given in there: curl would go on */
        request_end(r);
}

const struct vic_answer *vic_request_answer(const struct vic_request *r)
{
    return &r->answer;
}

const struct vic_error *vic_request_error(const struct vic_request *r)
{
    return r->failed ? &r->error : NULL;
}

bool vic_request_is_denied(const struct vic_request *r)
{
    return r->failed && r->reach.refused[0];
}

void vic_request_free(struct vic_request *r)
{
    if (!r)
        return;
    vic_multi_unref(r->multi);
    vic_ask_clear(&r->ask);
    vic_answer_clear(&r->answer);
    vic_room_leave(&r->share);
    free(r->task);
    free(r);
}
