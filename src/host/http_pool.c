/*
 * host.http's pools: a pool has one way to verify who answers, keeps connections, and
 * shares them with no other.
 */
#include "fail.h"
#include "http.h"
#include "multi.h"
#include "options.h"
#include "tls.h"

#include <lauxlib.h>
#include <uv.h>

#include <string.h>

/* Both __close and __gc, and pool:close(). What is under way goes on. */
int l_pool_close(lua_State *L)
{
    struct vic_http_pool *pool = luaL_checkudata(L, 1, VIC_HTTP_POOL);
    struct vic_multi *multi = pool->multi;

    pool->multi = NULL;
    vic_multi_unref(multi);
    return 0;
}

struct vic_http_pool *vic_http_check_pool(lua_State *L, int index)
{
    struct vic_http_pool *pool = luaL_checkudata(L, index, VIC_HTTP_POOL);

    luaL_argcheck(L, pool->multi, index, "the pool is closed");
    return pool;
}

struct pool_opts {
    double connect_timeout;
    unsigned max_connections;
    bool cookies;
    bool shares;
    bool anywhere;
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
        { "shares", VIC_OPTION_BOOL, offsetof(struct pool_opts, shares) },
        { "anywhere", VIC_OPTION_BOOL, offsetof(struct pool_opts, anywhere) },
        { "tls", VIC_OPTION_OTHER, 0 },
        { NULL, 0, 0 },
    };
    static const struct vic_option tls_options[] = {
        { "ca", VIC_OPTION_STRING, offsetof(struct pool_opts, tls.ca) },
        { "thumbprint", VIC_OPTION_STRING, offsetof(struct pool_opts, tls.thumbprint) },
        { "learn", VIC_OPTION_BOOL, offsetof(struct pool_opts, tls.learn) },
        { "ca_field", VIC_OPTION_STRING, offsetof(struct pool_opts, tls.ca_field) },
        { "thumbprint_field", VIC_OPTION_STRING,
          offsetof(struct pool_opts, tls.thumbprint_field) },
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

int vic_http_pool_push(lua_State *L, int index)
{
    struct pool_opts opts = { .connect_timeout = 10, .max_connections = 8 };
    struct vic_multi_opts multi_opts = { 0 };
    struct vic_error err;
    struct vic_http_pool *pool;

    read_pool_opts(L, index, &opts);
    pool = lua_newuserdatauv(L, sizeof(*pool), 0);
    memset(pool, 0, sizeof(*pool));
    luaL_setmetatable(L, VIC_HTTP_POOL);

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
    pool->shares = opts.shares;
    pool->anywhere = opts.anywhere;
    return 1;
}

/*
 * http.pool(opts) -> pool | nil, err
 *
 *   opts.tls.ca           PEM      trust these CAs, and no others  (default: the system's)
 *   opts.tls.thumbprint   hex      trust this leaf alone: SHA-256 or SHA-1, colons or not
 *   opts.tls.learn        bool     with neither: accept whoever answers, and say so in the
 *                                  answer's certificate.trusted           (default false)
 *   opts.tls.ca_field, .thumbprint_field  text  where these can be given, for messages:
 *                                  "caCert in the Secret"            (default: nowhere)
 *   opts.tls.cert, .key   PEM      show this certificate of ours to who asks
 *   opts.connect_timeout  seconds  resolve, connect and TLS together         (default 10)
 *   opts.max_connections  int      requests at once, others wait in line      (default 8)
 *   opts.cookies          bool     keep cookies, in memory                (default false)
 *   opts.shares           bool     of the answers of all such pools that are on their way
 *                                  at most 16 MiB are in memory: one of more than 256 KiB
 *                                  waits until there is room for its max_body
 *                                                                        (default false)
 *   opts.anywhere         bool     the administrator has named the server: http.deny does
 *                                  not count                              (default false)
 *   err                   invalid  a CA that is no PEM, a thumbprint that is no digest
 *
 * Close it (or let a `local pool <close>` do so) when it is not needed any more;
 * requests under way then still end as they would.
 */
int l_http_pool(lua_State *L)
{
    return vic_http_pool_push(L, 1);
}

/*
 * pool:clear_cookies()
 * Forgets all cookies. Needed before logging in again.
 */
int l_pool_clear_cookies(lua_State *L)
{
    vic_multi_clear_cookies(vic_http_check_pool(L, 1)->multi);
    return 0;
}
