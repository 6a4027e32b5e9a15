/*
 * host.http: answers that come as lines, for as long as the server likes (watches), and
 * those of which a piece here and there is wanted.
 *
 * A stream is held by its userdata, by its request until that is done, and by the
 * task that waits for it; the last of them frees it. Loop thread only.
 */
#include "alloc.h"
#include "chunk.h"
#include "fail.h"
#include "host.h"
#include "http.h"
#include "lines.h"
#include "url.h"
#include "wait.h"

#include <lauxlib.h>

#include <stdlib.h>

#define STREAM_TYPE "vic.http.lines"
#define MAX_LINE    ((size_t)4 * 1024 * 1024)
#define MAX_PIECE   ((lua_Integer)16 * 1024 * 1024)

struct stream {
    unsigned refs;
    struct vic_request *request;
    struct vic_headers headers; /* until the request has taken them */
    struct vic_lines lines;
    struct vic_chunk chunk; /* in their place, if it is not lines that are read */
    bool pieces;
    struct waiting *waiting; /* the task to be woken, or NULL */
    bool reading;            /* a task is in next(), woken or not */
    bool streams;            /* the head is there, and it is a good one */
    bool done;
    bool closed;
};

/* A task that waits for the head, a line, or the end. */
struct waiting {
    struct vic_wait wait; /* first, so that a vic_wait * is a waiting * */
    struct stream *stream;
    bool opening; /* unless it gets the stream, nobody has it: close it */
};

static void stream_unref(struct stream *stream)
{
    if (--stream->refs > 0)
        return;
    vic_request_free(stream->request);
    vic_headers_clear(&stream->headers);
    vic_lines_clear(&stream->lines);
    vic_chunk_clear(&stream->chunk);
    free(stream);
}

static void stream_wake(struct stream *stream)
{
    struct waiting *waiting = stream->waiting;

    stream->waiting = NULL;
    if (waiting)
        vic_wait_done(&waiting->wait);
}

static void stream_close(struct stream *stream)
{
    if (stream->closed)
        return;
    stream->closed = true;
    if (stream->request && !stream->done)
        vic_request_cancel(stream->request);
}

/* ---- from the request ---- */

/* Anything but a 2xx is an answer like any other, and kept whole. */
static bool lines_on_head(void *arg)
{
    struct stream *stream = arg;
    int status = vic_request_answer(stream->request)->status;

    stream->streams = status >= 200 && status < 300;
    if (stream->streams)
        stream_wake(stream);
    return stream->streams;
}

static int on_bytes(void *arg, const char *bytes, size_t size, struct vic_error *err)
{
    struct stream *stream = arg;

    if (vic_lines_full(&stream->lines))
        return 1;
    if (vic_lines_add(&stream->lines, bytes, size, err) < 0)
        return -1;
    if (vic_lines_ready(&stream->lines))
        stream_wake(stream);
    return 0;
}

static int on_piece(void *arg, const char *bytes, size_t size, struct vic_error *err)
{
    struct stream *stream = arg;

    (void)err;
    if (vic_chunk_full(&stream->chunk))
        return 1;
    vic_chunk_add(&stream->chunk, bytes, size);
    if (vic_chunk_ready(&stream->chunk))
        stream_wake(stream);
    return 0;
}

static void lines_on_done(void *arg)
{
    struct stream *stream = arg;

    stream->done = true;
    stream_wake(stream);
    stream_unref(stream);
}

/* ---- waiting ---- */

static void waiting_cancel(struct vic_wait *wait)
{
    struct waiting *waiting = (struct waiting *)wait;

    waiting->stream->waiting = NULL;
    vic_wait_done(wait); /* nobody waits any more: frees */
}

static void waiting_free(struct vic_wait *wait)
{
    struct waiting *waiting = (struct waiting *)wait;

    waiting->stream->reading = false;
    if (waiting->opening)
        stream_close(waiting->stream);
    stream_unref(waiting->stream);
    free(waiting);
}

static int lines_wait_for(lua_State *L, struct vic_wait **box, lua_KFunction k)
{
    struct waiting *waiting = (struct waiting *)*box;

    waiting->stream->waiting = waiting;
    waiting->stream->reading = true;
    vic_request_what(waiting->stream->request, waiting->wait.what,
                     sizeof(waiting->wait.what));
    return vic_wait_for(L, box, k);
}

static struct vic_wait **box_new(lua_State *L, struct stream *stream, bool opening)
{
    struct vic_wait **box = vic_wait_box(L);
    struct waiting *waiting = vic_alloc(sizeof(*waiting));

    *box = &waiting->wait;
    waiting->wait.cancel = waiting_cancel;
    waiting->wait.free = waiting_free;
    waiting->stream = stream;
    waiting->opening = opening;
    stream->refs++;
    return box;
}

/* ---- streams in Lua ---- */

static struct stream *lines_check_stream(lua_State *L)
{
    struct stream **box = luaL_checkudata(L, 1, STREAM_TYPE);

    luaL_argcheck(L, *box, 1, "the stream is closed");
    return *box;
}

/* Both __close and __gc, and stream:close(). */
static int l_lines_close(lua_State *L)
{
    struct stream **box = luaL_checkudata(L, 1, STREAM_TYPE);
    struct stream *stream = *box;

    *box = NULL;
    if (stream) {
        stream_close(stream);
        stream_wake(stream);
        stream_unref(stream);
    }
    return 0;
}

/* The next line, or the end; 0: there is none yet. */
static int push_line(lua_State *L, struct stream *stream)
{
    size_t size;
    const char *line = vic_lines_next(&stream->lines, &size);

    if (!line && !stream->done && !stream->closed)
        return 0;
    if (!line && stream->closed)
        return vic_fail(L, "cancelled", "the stream of lines was closed");
    if (!line && vic_request_error(stream->request))
        return vic_http_push_failure(L, stream->request);
    if (!line)
        line = vic_lines_rest(&stream->lines, &size);
    if (line)
        lua_pushlstring(L, line, size);
    else
        lua_pushnil(L);
    if (!vic_lines_full(&stream->lines))
        vic_request_resume(stream->request);
    return 1;
}

static int next_result(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    return push_line(L, ((struct waiting *)ctx)->stream);
}

/*
 * stream:next() -> line | nil | nil, err                                      [waits]
 *
 *   line  string  without its end
 *   nil           alone: the answer has ended as it should
 *   err           timeout: nothing came for so long; connect: it broke off; http: a line
 *                 is too long; cancelled: another task has closed the stream
 *
 * `for line in stream do` does the same, but loses err. Lines that came before a
 * failure come out first. One task reads at a time. Nothing more is read from the
 * network while 256 KiB wait to be taken.
 */
static int l_lines_next(lua_State *L)
{
    struct stream *stream = lines_check_stream(L);
    int n;

    luaL_argcheck(L, !stream->pieces, 1, "a stream of pieces");
    if (stream->reading)
        return luaL_error(L, "another task reads this stream");
    n = push_line(L, stream);
    return n ? n : lines_wait_for(L, box_new(L, stream, false), next_result);
}

/* What was asked for, or the end; 0: it is not there yet. */
static int push_piece(lua_State *L, struct stream *stream)
{
    bool ready = vic_chunk_ready(&stream->chunk);
    const char *bytes;
    size_t size;

    if (!ready && !stream->done && !stream->closed)
        return 0;
    if (!ready && stream->closed)
        return vic_fail(L, "cancelled", "the answer was closed");
    if (!ready && vic_request_error(stream->request))
        return vic_http_push_failure(L, stream->request);
    bytes = vic_chunk_take(&stream->chunk, &size);
    lua_pushlstring(L, bytes, size);
    vic_request_resume(stream->request);
    return 1;
}

static int piece_result(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    return push_piece(L, ((struct waiting *)ctx)->stream);
}

/*
 * stream:read(size, skip?) -> bytes | nil, err                                [waits]
 * Of a stream of pool:pieces.
 *
 *   size   bytes  up to 16 MiB; fewer come at the answer's end alone
 *   skip   bytes  that are dropped before                             (default 0)
 *   err    as stream:next's
 */
static int l_lines_read(lua_State *L)
{
    struct stream *stream = lines_check_stream(L);
    lua_Integer size = luaL_checkinteger(L, 2), skip = luaL_optinteger(L, 3, 0);
    int n;

    luaL_argcheck(L, stream->pieces, 1, "a stream of lines");
    luaL_argcheck(L, size >= 0 && size <= MAX_PIECE, 2, "at most 16 MiB");
    luaL_argcheck(L, skip >= 0, 3, "not negative");
    if (stream->reading)
        return luaL_error(L, "another task reads this stream");
    vic_chunk_ask(&stream->chunk, (uint64_t)skip, (size_t)size);
    vic_request_resume(stream->request);
    n = push_piece(L, stream);
    return n ? n : lines_wait_for(L, box_new(L, stream, false), piece_result);
}

/*
 * stream:head() -> {status, url, headers, certificate}
 * As in an answer of pool:request.
 */
static int l_lines_head(lua_State *L)
{
    vic_http_push_head(L, vic_request_answer(lines_check_stream(L)->request));
    return 1;
}

/* ---- opening ---- */

static int push_refusal(lua_State *L, const struct vic_answer *answer)
{
    char url[400];

    vic_url_redact(answer->url, url, sizeof(url));
    vic_fail(L, "http", "%s: status %d", url, answer->status);
    lua_pushinteger(L, answer->status);
    lua_setfield(L, -2, "status");
    vic_http_push_answer(L, answer);
    lua_setfield(L, -2, "answer");
    return 2;
}

/* [pool, options, stream, box] */
static int open_result(lua_State *L, int status, lua_KContext ctx)
{
    struct waiting *waiting = (struct waiting *)ctx;
    struct stream *stream = waiting->stream;

    (void)status;
    if (stream->streams) { /* also if it has failed since: lines may have come before */
        waiting->opening = false;
        lua_pushvalue(L, 3);
        return 1;
    }
    if (vic_request_error(stream->request))
        return vic_http_push_failure(L, stream->request);
    return push_refusal(L, vic_request_answer(stream->request));
}

static struct stream *push_stream(lua_State *L)
{
    struct stream **box = lua_newuserdatauv(L, sizeof(struct stream *), 0);
    struct stream *stream;

    *box = NULL;
    luaL_setmetatable(L, STREAM_TYPE);
    stream = vic_alloc(sizeof(*stream));
    stream->refs = 1;
    *box = stream;
    return stream;
}

/* [pool, options] */
static int lines_start(lua_State *L, struct vic_request_opts *opts, size_t max_line)
{
    struct vic_http_pool *pool = vic_http_check_pool(L, 1);
    struct stream *stream = push_stream(L);
    struct vic_wait **box = box_new(L, stream, true);
    struct vic_error err;

    stream->lines.most = max_line;
    stream->pieces = opts->on_bytes == on_piece;
    if (vic_http_read_headers(L, 2, &stream->headers, &err) < 0)
        return vic_fail_error(L, &err);
    opts->headers = &stream->headers;
    opts->unlimited = true;
    opts->arg = stream;
    opts->done = lines_on_done;
    opts->on_head = lines_on_head;
    stream->request = vic_request_start(pool->multi, opts, &err);
    if (!stream->request)
        return vic_fail_error(L, &err);
    stream->refs++;
    return lines_wait_for(L, box, open_result);
}

/*
 * pool:lines(opts) -> stream | nil, err                                       [waits]
 *
 *   opts           as pool:request's; timeout is also that between two lines
 *   opts.max_line  bytes  of one line                               (default 4 MiB)
 *   stream         to be closed; it has a connection of its own, which is not counted
 *                  among the pool's
 *   err            as pool:request's; http: a status that is no 2xx, with err.status and
 *                  err.answer = {status, headers, body ...}
 *
 * Returns as soon as the head is there. Cancelling the task meanwhile ends the request;
 * closing the stream does so later.
 */
int l_pool_lines(lua_State *L)
{
    struct vic_request_opts opts = { 0 };
    size_t max_line = MAX_LINE;

    lua_settop(L, 2);
    vic_http_read_opts(L, 2, vic_http_check_pool(L, 1), &opts, &max_line);
    opts.on_bytes = on_bytes;
    return lines_start(L, &opts, max_line);
}

/*
 * pool:pieces(opts) -> stream | nil, err                                      [waits]
 *
 * As pool:lines, for an answer of which a piece here and there is wanted: stream:read().
 * What is dropped between them never enters Lua.
 */
int l_pool_pieces(lua_State *L)
{
    struct vic_request_opts opts = { 0 };

    lua_settop(L, 2);
    vic_http_read_opts(L, 2, vic_http_check_pool(L, 1), &opts, NULL);
    opts.on_bytes = on_piece;
    return lines_start(L, &opts, 0);
}

void vic_http_lines_init(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "next", l_lines_next },     { "read", l_lines_read },
        { "head", l_lines_head },     { "close", l_lines_close },
        { "__call", l_lines_next },   { "__gc", l_lines_close },
        { "__close", l_lines_close }, { NULL, NULL },
    };

    luaL_newmetatable(L, STREAM_TYPE);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
