/*
 * host.http: requests to other machines, each with one answer.
 */
#include "alloc.h"
#include "fail.h"
#include "host.h"
#include "http.h"
#include "reach.h"
#include "request.h"
#include "url.h"
#include "wait.h"

#include <lauxlib.h>
#include <stdlib.h>

struct call {
    struct vic_wait wait; /* first, so that a vic_wait * is a call * */
    struct vic_request *request;
    struct vic_headers headers; /* until the request has taken them */
};

static void call_done(void *arg)
{
    vic_wait_done(&((struct call *)arg)->wait);
}

static void http_call_cancel(struct vic_wait *wait)
{
    vic_request_cancel(((struct call *)wait)->request);
}

static void http_call_free(struct vic_wait *wait)
{
    struct call *call = (struct call *)wait;

    vic_request_free(call->request);
    vic_headers_clear(&call->headers);
    free(call);
}

static int http_call_result(lua_State *L, int status, lua_KContext ctx)
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
    call->wait.cancel = http_call_cancel;
    call->wait.free = http_call_free;
    if (vic_http_read_headers(L, index, &call->headers, &err) < 0)
        return vic_fail_error(L, &err);
    opts.headers = &call->headers;
    opts.arg = call;
    opts.done = call_done;
    call->request = vic_request_start(pool->multi, &opts, &err);
    if (!call->request)
        return vic_fail_error(L, &err);
    vic_request_what(call->request, call->wait.what, sizeof(call->wait.what));
    return vic_wait_for(L, box, http_call_result);
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
 *   opts.discreet       bool     its path, which may be a credential, is not shown: not
 *                                in messages, not in the log (default false)
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
 *                       invalid, with err.code EndpointDenied: http.deny forbids it;
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
        n = vic_http_pool_push(L, 2);
        if (n != 1)
            return n;
    }
    return request(L, vic_http_check_pool(L, lua_gettop(L)), 1);
}

/*
 * http.shown(url) -> text
 * As messages and logs may have it: no user, no password, no query. Of what is no URL:
 * "(unreadable URL)".
 */
static int l_http_shown(lua_State *L)
{
    char shown[1024];

    vic_url_redact(luaL_checkstring(L, 1), shown, sizeof(shown));
    lua_pushstring(L, shown);
    return 1;
}

/* The text at `name` of the table at `index`, or nil: pushed. */
static const char *deny_field(lua_State *L, int index, const char *name)
{
    luaL_argcheck(L, lua_istable(L, index), 1, "a list of tables");
    lua_getfield(L, index, name);
    return lua_tostring(L, -1);
}

static int deny_one(lua_State *L, struct vic_error *err)
{
    int at = lua_gettop(L);
    const char *range = deny_field(L, at, "range");
    const char *host = deny_field(L, at, "host");
    const char *name = deny_field(L, at, "name");

    if (!range == !host)
        return luaL_argerror(L, 1, "each with either range or host");
    if (host) {
        vic_reach_deny_host(host, name ? name : host);
        return 0;
    }
    return vic_reach_deny(range, name ? name : range, err);
}

/*
 * http.deny(list) -> true | nil, err
 * Where no connection of ours may go from now on, transfers of host.disk included, whatever
 * name, redirect or spelling leads there: judged by the address that is connected to.
 * Replaces what was said before. The proxies of the environment stay allowed. A host's name
 * is looked up now, which may take a while.
 *
 *   list[i].range  text  "10.53.0.0/16", "fd00::1", "loopback" (this machine, by all of its
 *                        addresses) or "link-local"
 *   list[i].host   text  or the addresses that this host has now
 *   list[i].name   text  what messages call it                     (default: the range)
 *   err            invalid  no range
 */
static int l_http_deny(lua_State *L)
{
    struct vic_error err;
    lua_Integer i;

    luaL_checktype(L, 1, LUA_TTABLE);
    vic_reach_clear();
    for (i = 1; lua_geti(L, 1, i) != LUA_TNIL; i++) {
        if (deny_one(L, &err) < 0)
            return vic_fail_error(L, &err);
        lua_settop(L, 1);
    }
    vic_reach_allow_proxies();
    lua_pushboolean(L, true);
    return 1;
}

int vic_open_http(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "deny", l_http_deny },   { "pool", l_http_pool }, { "request", l_http_request },
        { "shown", l_http_shown }, { NULL, NULL },
    };
    static const luaL_Reg methods[] = {
        { "request", l_pool_request }, { "lines", l_pool_lines },
        { "pieces", l_pool_pieces },   { "clear_cookies", l_pool_clear_cookies },
        { "close", l_pool_close },     { "__close", l_pool_close },
        { "__gc", l_pool_close },      { NULL, NULL },
    };

    vic_http_lines_init(L);
    luaL_newmetatable(L, VIC_HTTP_POOL);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    luaL_newlib(L, functions);
    return 1;
}
