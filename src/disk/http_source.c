/*
 * http_source: the stream is the body of a GET, by a curl handle of its own on the
 * transfer's own thread.
 *
 * It runs on a multi handle, because only that can be woken to stop at once. Its URL
 * may hold a token in its path: what is printed is scheme, host and last element.
 */
#include "source.h"

#include "alloc.h"
#include "answer.h"
#include "asked.h"
#include "clock.h"
#include "failure.h"
#include "pace.h"
#include "reach.h"
#include "request_log.h"
#include "url.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define BUFFER       (512L * 1024)
#define RESUMES      5    /* in a row that bring nothing */
#define RESUME_PAUSE 1000 /* ms */
#define RENEWALS     3    /* in a row that bring nothing */
#define RENEWAL_WAIT 60   /* s until new headers must be there */
#define RENEWAL_LOOK 100  /* ms */
#define REFUSED      401  /* of a header that is not taken any more */

struct http_source {
    struct vic_source source; /* first, so that a vic_source * is a http_source * */
    char *url;
    struct vic_asked asked;
    struct curl_slist *connect_to;
    struct vic_tls *tls;
    struct vic_reach reach;
    CURL *easy;
    CURLM *multi;
    double idle_timeout;
    double connect_timeout;
    uint64_t most; /* bytes of the stream, 0: any number */
    struct vic_window window;
    bool resumable;
    char *stored; /* the file that has the stream's beginning, or NULL */

    /* While it runs. */
    struct vic_sink *sink;
    double last; /* when the last byte of the stream came */
    struct vic_pace pace;
    struct vic_head_size head;
    bool answered;        /* this request, well, and its body has begun */
    uint64_t start;       /* where in the stream its answer says that it begins */
    uint64_t total;       /* and how long the stream is; 0: not said */
    bool complete;        /* nothing lacks */
    bool over;            /* nothing else of this answer is wanted */
    bool refused;         /* for its headers */
    bool settled;         /* by what came: another request is of no use */
    struct vic_error err; /* then */
    char detail[CURL_ERROR_SIZE];
};

/* "0-99/100" or, of what cannot be had, "*" and "/100". A line ends with LF, so what is no
 * number ends there at the latest. */
static void keep_range(struct http_source *s, const char *value, size_t size)
{
    const char *slash = memchr(value, '/', size);

    s->start = strtoull(value, NULL, 10);
    s->total = slash ? strtoull(slash + 1, NULL, 10) : 0;
}

static size_t http_source_on_header(char *data, size_t one, size_t size, void *arg)
{
    struct http_source *s = arg;
    static const char chunked[] = "transfer-encoding: chunked";
    static const char range[] = "content-range: bytes ";

    (void)one;
    if (s->head.lines == 0) /* it answers; all else of a head is no progress */
        s->last = vic_now();
    if (vic_head_size_add(&s->head, size, &s->err)) {
        s->settled = true;
        return size + 1;
    }
    if (size > sizeof(chunked) && strncasecmp(data, chunked, sizeof(chunked) - 1) == 0)
        s->source.framed = true;
    if (size > sizeof(range) && strncasecmp(data, range, sizeof(range) - 1) == 0)
        keep_range(s, data + sizeof(range) - 1, size - sizeof(range) + 1);
    if (size > 6 && strncasecmp(data, "etag: ", 6) == 0)
        vic_asked_keep_etag(s->source.etag, data + 6, size - 6);
    return size;
}

/* The answer to a Range is what lacks, from its first byte on. */
static int check_rest(struct http_source *s, long status)
{
    uint64_t have = atomic_load(&s->source.received);

    if (status == 206 && s->start == s->window.offset + have)
        return 0;
    /* It ended just there. With If-Range a stream that has changed would be 200. */
    s->complete = status == 416 && s->total == s->window.offset + have;
    if (s->complete)
        return 0;
    s->source.status = status == 206 ? 0 : (int)status;
    s->refused = status == REFUSED;
    if (s->stored && (status == 200 || status == 206 || status == 416))
        return vic_error_set(&s->err, VIC_CONFLICT,
                             "the stream has changed since its beginning was read");
    return vic_error_set(&s->err, VIC_HTTP,
                         "the answer broke off after %" PRIu64
                         " bytes, and the server does not go on there (HTTP status %ld)",
                         have, status);
}

/* The answer is the stream itself, or an error. Once, before the first byte of it. */
static int check_answer(struct http_source *s)
{
    curl_off_t length = -1;
    long status = 0;

    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(s->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (length >= 0)
        s->source.framed = true;
    if (atomic_load(&s->source.received))
        return check_rest(s, status);
    if (status == 200 && !s->window.length)
        return 0;
    if (s->window.length && (status == 200 || status == 206))
        return vic_window_answered(&s->window, status, s->start, s->total, length,
                                   &s->err);
    s->source.status = (int)status;
    s->refused = status == REFUSED;
    return vic_error_set(&s->err, VIC_HTTP, "the server answered HTTP status %ld%s",
                         status,
                         status / 100 == 3 ? ", a redirect; none is followed" : "");
}

static size_t on_body(char *data, size_t one, size_t size, void *arg)
{
    struct http_source *s = arg;
    double began = vic_now();
    size_t all = size;

    (void)one;
    if (atomic_load(&s->source.stopped))
        return size + 1;
    if (!s->answered && check_answer(s)) {
        s->settled = true;
        return size + 1;
    }
    s->answered = true;
    if (s->complete)
        return size;
    size = vic_window_take(&s->window, atomic_load(&s->source.received), &data, size);
    if (s->most && size > s->most - atomic_load(&s->source.received)) {
        s->settled = true;
        vic_error_set(&s->err, VIC_FORMAT,
                      "the stream goes on after the %" PRIu64 " bytes that it may have",
                      s->most);
        return all + 1;
    }
    atomic_fetch_add(&s->source.received, size);
    if (size && s->sink->write(s->sink, data, size, &s->err)) {
        s->settled = true;
        return all + 1;
    }
    s->last = vic_now(); /* after the write, which waits while the disk is slower */
    vic_pace_took(&s->pace, all, s->last - began);
    s->over = vic_window_is_full(&s->window, atomic_load(&s->source.received));
    return s->over ? all + 1 : all;
}

static int setup(struct http_source *s, struct vic_error *err)
{
    CURL *e = s->easy = curl_easy_init();

    s->multi = curl_multi_init();
    if (!e || !s->multi)
        return vic_error_set(err, VIC_INTERNAL, "curl cannot start");
    curl_easy_setopt(e, CURLOPT_URL, s->url);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_CONNECT_TO, s->connect_to);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(s->connect_timeout * 1000));
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    /* Without it the end would wait for a resolver that hangs. */
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, BUFFER);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "vm-import-controller");
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, http_source_on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, s);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, s->detail);
    vic_reach_apply(&s->reach, e);
    if (vic_tls_apply(s->tls, e, err))
        return -1;
    if (curl_multi_add_handle(s->multi, e))
        return vic_error_set(err, VIC_INTERNAL, "curl cannot start");
    return 0;
}

static int failed(struct http_source *s, CURLcode code, struct vic_error *err)
{
    struct vic_failure failure = {
        .easy = s->easy,
        .code = code,
        .text = s->detail,
        .tls = s->tls,
        .url = s->url,
        .connect_timeout = s->connect_timeout,
        .reach = &s->reach,
    };

    if (atomic_load(&s->source.stopped))
        return vic_error_set(err, VIC_CANCELLED, "stopped");
    if (s->settled) {
        *err = s->err;
        return -1;
    }
    vic_failure_error(&failure, "GET", err);
    if (atomic_load(&s->source.received))
        vic_error_wrap(err, "after %" PRIu64 " bytes",
                       (uint64_t)atomic_load(&s->source.received));
    return -1;
}

/* The handle's result, once it has one. */
static bool finished(struct http_source *s, CURLcode *code)
{
    int left;
    CURLMsg *message = curl_multi_info_read(s->multi, &left);

    if (!message || message->msg != CURLMSG_DONE)
        return false;
    *code = message->data.result;
    return true;
}

/* Until curl is done, nothing came for too long, or somebody stops it. */
static int perform(struct http_source *s, struct vic_error *err)
{
    CURLcode code;
    int running;

    s->last = vic_now();
    for (;;) {
        double left;

        if (curl_multi_perform(s->multi, &running))
            return vic_error_set(err, VIC_INTERNAL, "curl fails");
        if (finished(s, &code))
            break;
        if (atomic_load(&s->source.stopped))
            return vic_error_set(err, VIC_CANCELLED, "stopped");
        left = s->last + s->idle_timeout - vic_now();
        if (left <= 0)
            return vic_error_set(err, VIC_TIMEOUT,
                                 "nothing came for %g s, after %" PRIu64 " bytes",
                                 s->idle_timeout, atomic_load(&s->source.received));
        if (vic_pace_check(&s->pace, vic_now(), err)) {
            s->settled = true; /* another one would be as slow */
            return -1;
        }
        left = fmin(left, vic_pace_left(&s->pace, vic_now()));
        curl_multi_poll(s->multi, NULL, 0, left > 10 ? 10000 : (int)(left * 1000) + 1,
                        NULL);
    }
    if (s->over)
        return 0;
    if (code)
        return failed(s, code, err);
    if (!s->answered && check_answer(s)) {
        *err = s->err;
        s->settled = true; /* an answer, though no good one: another is of no use */
        return -1;
    }
    return vic_window_ended(&s->window, atomic_load(&s->source.received), VIC_CONNECT,
                            err);
}

/* What the next request asks for, behind what is here. */
static void ask_for(struct http_source *s, uint64_t have)
{
    char range[VIC_WINDOW_RANGE];

    curl_easy_setopt(s->easy, CURLOPT_RANGE,
                     vic_window_range(&s->window, have, range) ? range : NULL);
}

/* Asks for what lacks. */
static int ask_again(struct http_source *s)
{
    uint64_t have = atomic_load(&s->source.received);

    ask_for(s, have);
    if (have)
        vic_asked_only_if(&s->asked, s->source.etag);
    vic_asked_apply(&s->asked, s->easy);
    s->answered = s->settled = s->refused = false;
    memset(&s->head, 0, sizeof(s->head));
    s->source.status = 0;
    s->start = s->total = 0;
    return curl_multi_add_handle(s->multi, s->easy) ? -1 : 0;
}

/* Whether whoever keeps the headers has others now; waits for that, until stop(). */
static bool are_renewed(struct http_source *s)
{
    double deadline = vic_now() + RENEWAL_WAIT;

    vic_asked_refused(&s->asked);
    while (!vic_asked_has_others(&s->asked)) {
        if (atomic_load(&s->source.stopped) || vic_now() >= deadline)
            return false;
        curl_multi_poll(s->multi, NULL, 0, RENEWAL_LOOK, NULL);
    }
    return true;
}

/* Whether what failed was the way, and not the answer or the sink. */
static bool may_resume(struct http_source *s)
{
    return s->resumable && !s->settled && !s->window.from_start &&
           !atomic_load(&s->source.stopped) && atomic_load(&s->source.received) > 0;
}

/* Passes on what is here already, and asks for the rest alone. */
static int replay(struct http_source *s, struct vic_error *err)
{
    struct vic_source *file = vic_file_source_new(s->stored, &(struct vic_window){ 0 });
    int result = file->run(file, s->sink, err);
    uint64_t have = atomic_load(&file->received);

    file->free(file);
    atomic_store(&s->source.stored, have);
    atomic_store(&s->source.received, have);
    if (have == 0)
        return result;
    vic_asked_only_if(&s->asked, s->source.etag);
    ask_for(s, have);
    return result;
}

void vic_http_source_resume(struct vic_source *source, const char *file, const char *etag)
{
    struct http_source *s = (struct http_source *)source;

    s->stored = vic_strdup(file);
    snprintf(source->etag, sizeof(source->etag), "%s", etag);
}

/* For the log: one request for the disk, or for the rest of it. */
static void http_source_say(const struct http_source *s, double began, int result,
                            const struct vic_error *err)
{
    struct vic_request_log said = { .method = "GET",
                                    .url = s->source.name,
                                    .began = began };
    char problem[700];
    long status = 0;

    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    said.status = (int)status;
    snprintf(problem, sizeof(problem), "GET %s: %.500s", s->source.name,
             result ? err->message : "");
    said.problem = result ? problem : NULL;
    vic_request_log(&said);
}

static int http_run(struct vic_source *source, struct vic_sink *sink,
                    struct vic_error *err)
{
    struct http_source *s = (struct http_source *)source;
    int left = RESUMES, renewals = RENEWALS;
    double began;
    int result;

    s->sink = sink;
    ask_for(s, 0);
    if (s->stored && replay(s, err))
        return -1;
    if (vic_window_is_full(&s->window, atomic_load(&s->source.received)))
        return 0;
    vic_asked_apply(&s->asked, s->easy);
    vic_pace_begin(&s->pace, vic_now());
    for (;;) {
        uint64_t before = atomic_load(&s->source.received);

        began = vic_now();
        result = perform(s, err);
        http_source_say(s, began, result, err);
        curl_multi_remove_handle(s->multi, s->easy);
        if (atomic_load(&s->source.received) > before) {
            left = RESUMES;
            renewals = RENEWALS;
        }
        if (result && s->refused && s->asked.renewal && renewals-- > 0) {
            if (!are_renewed(s) || ask_again(s))
                return result;
            vic_pace_begin(&s->pace, vic_now()); /* it was waiting for us */
        } else {
            if (!result || !may_resume(s) || left-- == 0)
                return result;
            curl_multi_poll(s->multi, NULL, 0, RESUME_PAUSE, NULL); /* stop() ends it */
            if (ask_again(s))
                return result;
        }
    }
}

static void http_stop(struct vic_source *source)
{
    struct http_source *s = (struct http_source *)source;

    atomic_store(&source->stopped, true);
    curl_multi_wakeup(s->multi); /* the one call of curl that any thread may make */
}

static void http_free(struct vic_source *source)
{
    struct http_source *s = (struct http_source *)source;

    if (s->multi && s->easy)
        curl_multi_remove_handle(s->multi, s->easy);
    curl_easy_cleanup(s->easy);
    curl_multi_cleanup(s->multi);
    vic_asked_free(&s->asked);
    curl_slist_free_all(s->connect_to);
    vic_tls_free(s->tls);
    free(s->url);
    free(s->stored);
    free(source->name);
    free(s);
}

struct vic_source *vic_http_source_new(const struct vic_http_source_opts *opts,
                                       struct vic_error *err)
{
    struct http_source *s = vic_alloc(sizeof(*s));
    char rule[300];

    s->source.run = http_run;
    s->source.stop = http_stop;
    s->source.free = http_free;
    s->source.name = vic_url_name(opts->url);
    s->url = vic_strdup(opts->url);
    s->resumable = opts->resumable;
    s->most = opts->most;
    s->window = opts->window;
    s->source.framed = s->window.length > 0;
    s->idle_timeout = opts->idle_timeout;
    s->pace.least = opts->least_rate;
    s->pace.over = opts->rate_over;
    s->connect_timeout = opts->connect_timeout;
    if (opts->connect_to && opts->connect_to[0]) {
        snprintf(rule, sizeof(rule), "::%.280s", opts->connect_to);
        s->connect_to = curl_slist_append(NULL, rule);
    }
    s->tls = vic_tls_new(&opts->tls, err);
    if (!s->tls || vic_url_check(opts->url, err) ||
        vic_reach_check(&s->reach, opts->url, err) ||
        vic_asked_init(&s->asked, opts->headers, opts->renewal, err) || setup(s, err)) {
        http_free(&s->source);
        return NULL;
    }
    return &s->source;
}
