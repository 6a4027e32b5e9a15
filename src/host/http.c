/*
 * host.http: requests to other machines. Connections are kept in pools; a pool has
 * one way to verify who answers, and shares connections with no other.
 */
#include "alloc.h"
#include "fail.h"
#include "host.h"
#include "http.h"
#include "multi.h"
#include "options.h"
#include "request.h"
#include "tls.h"
#include "wait.h"

#include <lauxlib.h>
#include <uv.h>

#include <stdlib.h>
#include <string.h>

#define POOL_TYPE "vic.http.pool"

struct call {
    struct vic_wait wait; /* first, so that a vic_wait * is a call * */
    struct vic_request *request;
    struct vic_headers headers; /* until the request has taken them */
};

/* ---- pools ---- */

/* Both __close and __gc, and pool:close(). What is under way goes on. */
static int l_pool_close(lua_State *L)
{
    struct vic_http_pool *pool = luaL_checkudata(L, 1, POOL_TYPE);
    struct vic_multi *multi = pool->multi;

    pool->multi = NULL;
    vic_multi_unref(multi);
    return 0;
}

struct vic_http_pool *vic_http_check_pool(lua_State *L, int index)
{
    struct vic_http_pool *pool = luaL_checkudata(L, index, POOL_TYPE);

    luaL_argcheck(L, pool->multi, index, "the pool is closed");
    return pool;
}

struct pool_opts {
    double connect_timeout;
    unsigned max_connections;
    bool cookies;
    struct vic_tls_opts tls;
    const char *cert;
    const char *key;
};

static void read_pool_opts(lua_State *L, int index, struct pool_opts *opts)
{
    static const struct vic_option pool_options[] = {
        { "connect_timeout", VIC_OPTION_SECONDS,
          offsetof(struct pool_opts, connect_timeout) },
        { "max_connections", VIC_OPTION_UNSIGNED,
          offsetof(struct pool_opts, max_connections) },
        { "cookies", VIC_OPTION_BOOL, offsetof(struct pool_opts, cookies) },
        { "tls", VIC_OPTION_OTHER, 0 },
        { NULL, 0, 0 },
    };
    static const struct vic_option tls_options[] = {
        { "ca", VIC_OPTION_STRING, offsetof(struct pool_opts, tls.ca) },
        { "thumbprint", VIC_OPTION_STRING, offsetof(struct pool_opts, tls.thumbprint) },
        { "learn", VIC_OPTION_BOOL, offsetof(struct pool_opts, tls.learn) },
        { "cert", VIC_OPTION_STRING, offsetof(struct pool_opts, cert) },
        { "key", VIC_OPTION_STRING, offsetof(struct pool_opts, key) },
        { NULL, 0, 0 },
    };

    vic_options_read(L, index, pool_options, opts);
    if (lua_isnoneornil(L, index))
        return;
    lua_getfield(L, index, "tls"); /* stays on the stack: its strings are used */
    vic_options_read(L, -1, tls_options, opts);
}

/* Pushes a pool made from the table at `index`, or nil, err. Returns the number. */
static int push_pool(lua_State *L, int index)
{
    struct pool_opts opts = { .connect_timeout = 10, .max_connections = 8 };
    struct vic_multi_opts multi_opts = { 0 };
    struct vic_error err;
    struct vic_http_pool *pool;

    read_pool_opts(L, index, &opts);
    pool = lua_newuserdatauv(L, sizeof(*pool), 0);
    memset(pool, 0, sizeof(*pool));
    luaL_setmetatable(L, POOL_TYPE);

    multi_opts.tls = vic_tls_new(&opts.tls, &err);
    if (!multi_opts.tls)
        return vic_fail_error(L, &err);
    multi_opts.max_active = opts.max_connections;
    multi_opts.cookies = opts.cookies;
    multi_opts.cert = opts.cert;
    multi_opts.key = opts.key;
    pool->multi = vic_multi_new(uv_default_loop(), &multi_opts, &err);
    if (!pool->multi)
        return vic_fail_error(L, &err);
    pool->connect_timeout = opts.connect_timeout;
    pool->learn = opts.tls.learn;
    return 1;
}

/*
 * http.pool(opts) -> pool | nil, err
 *
 *   opts.tls.ca          PEM      trust these CAs, and no others   (default: the
 * system's) opts.tls.thumbprint  hex      trust this leaf alone: SHA-256 or SHA-1, colons
 * or not opts.tls.learn       bool     with neither: accept whoever answers, and say so
 * in the answer's certificate.trusted opts.tls.cert, .key  PEM      show this certificate
 * of ours to who asks opts.connect_timeout seconds  resolve, connect and TLS together
 * (default 10) opts.max_connections int      requests at once, others wait in line
 * (default 8) opts.cookies         bool     keep cookies, in memory (default false) err
 * invalid  a CA that is no PEM, a thumbprint that is no digest
 *
 * Close it (or let a `local pool <close>` do so) when it is not needed any more;
 * requests under way then still end as they would.
 */
static int l_http_pool(lua_State *L)
{
    return push_pool(L, 1);
}

/*
 * pool:clear_cookies()
 * Forgets all cookies. Needed before logging in again.
 */
static int l_pool_clear_cookies(lua_State *L)
{
    vic_multi_clear_cookies(vic_http_check_pool(L, 1)->multi);
    return 0;
}

/* ---- requests ---- */

static void call_done(void *arg)
{
    vic_wait_done(&((struct call *)arg)->wait);
}

static void call_cancel(struct vic_wait *wait)
{
    vic_request_cancel(((struct call *)wait)->request);
}

static void call_free(struct vic_wait *wait)
{
    struct call *call = (struct call *)wait;

    vic_request_free(call->request);
    vic_headers_clear(&call->headers);
    free(call);
}

static int call_result(lua_State *L, int status, lua_KContext ctx)
{
    const struct call *call = (const struct call *)ctx;
    const struct vic_answer *answer = vic_request_answer(call->request);

    (void)status;
    if (vic_request_error(call->request))
        return vic_http_push_failure(L, call->request);
    vic_http_push_answer(L, answer);
    return 1;
}

/* The options are at `index`. */
static int request(lua_State *L, const struct vic_http_pool *pool, int index)
{
    struct vic_request_opts opts = { 0 };
    struct vic_wait **box;
    struct vic_error err;
    struct call *call;

    vic_http_read_opts(L, index, pool, &opts, NULL);
    box = vic_wait_box(L);
    call = vic_alloc(sizeof(*call));
    *box = &call->wait;
    call->wait.cancel = call_cancel;
    call->wait.free = call_free;
    if (vic_http_read_headers(L, index, &call->headers, &err) < 0)
        return vic_fail_error(L, &err);
    opts.headers = &call->headers;
    opts.arg = call;
    opts.done = call_done;
    call->request = vic_request_start(pool->multi, &opts, &err);
    if (!call->request)
        return vic_fail_error(L, &err);
    return vic_wait_for(L, box, call_result);
}

/*
 * pool:request(opts) -> answer | nil, err                                     [waits]
 *
 *   opts.url            string   http or https; user:password@ is Basic authentication
 *   opts.method         string   (default GET)
 *   opts.headers        table    name -> value
 *   opts.body           string   sent whole
 *   opts.timeout        seconds  without a byte once connected               (default 30)
 *   opts.total_timeout  seconds  for everything                       (default: no limit)
 *   opts.before         seconds  of time.boottime(): not sent from then on    (default: none)
 *   opts.max_body       bytes    of the answer                           (default 16 MiB)
 *   opts.follow         int      redirects at most                            (default 0)
 *   opts.once           bool     on a new connection: a request on a kept one is sent
 *                                again if that ends without an answer (default false)
 *   answer.status       int      also 400 and above
 *   answer.headers      table    lower-case name -> value; repeated ones joined by ", "
 *   answer.body         string   as it came, not decompressed
 *   answer.url          string   who answered in the end
 *   answer.certificate  table    https: {fingerprint (SHA-256), sha1, issuer, subject,
 *                                trusted, reason}
 *   err                 dns, connect, tls (with err.certificate), timeout;
 *                       http: not HTTP, too large, or a redirect that is not followed;
 *                       cancelled: `before` had come, nothing was sent;
 *                       invalid: a URL or header that cannot be sent
 *
 * A redirect takes no header and no body of ours to another scheme, host or port, and
 * is not followed from https to http; a pool that learns follows none elsewhere.
 * Cancelling the task ends the request at once, whatever it waits for.
 * Source: RFC 9110.
 */
static int l_pool_request(lua_State *L)
{
    return request(L, vic_http_check_pool(L, 1), 2);
}

/*
 * http.request(opts) -> answer | nil, err                                     [waits]
 *
 *   opts.pool  pool  (default: one for this request alone, the system's CAs)
 *
 * Else as pool:request.
 */
static int l_http_request(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (lua_getfield(L, 1, "pool") == LUA_TNIL) {
        int n;

        lua_settop(L, 1);
        lua_newtable(L);
        n = push_pool(L, 2);
        if (n != 1)
            return n;
    }
    return request(L, vic_http_check_pool(L, lua_gettop(L)), 1);
}

int vic_open_http(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "pool", l_http_pool },
        { "request", l_http_request },
        { NULL, NULL },
    };
    static const luaL_Reg methods[] = {
        { "request", l_pool_request },
        { "lines", l_pool_lines },
        { "clear_cookies", l_pool_clear_cookies },
        { "close", l_pool_close },
        { "__close", l_pool_close },
        { "__gc", l_pool_close },
        { NULL, NULL },
    };

    vic_http_lines_init(L);
    luaL_newmetatable(L, POOL_TYPE);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    luaL_newlib(L, functions);
    return 1;
}
