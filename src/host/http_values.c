/*
 * host.http: tables of options into requests, answers into tables.
 */
#include "fail.h"
#include "http.h"
#include "options.h"
#include "task.h"

#include <lauxlib.h>

#include <string.h>

#define MAX_BODY   ((size_t)16 * 1024 * 1024)
#define USER_AGENT "vm-import-controller/" VIC_VERSION

struct request_opts {
    struct vic_request_opts request;
    struct vic_bytes body;
    size_t max_line;
};

/* The first one is for pool:lines alone. */
#define FIELD(name, type, field)                                                         \
    {                                                                                    \
        name, type, offsetof(struct request_opts, field)                                 \
    }
static const struct vic_option OPTIONS[] = {
    FIELD("max_line", VIC_OPTION_SIZE, max_line),
    FIELD("method", VIC_OPTION_STRING, request.method),
    FIELD("url", VIC_OPTION_STRING, request.url),
    FIELD("body", VIC_OPTION_BYTES, body),
    FIELD("timeout", VIC_OPTION_SECONDS, request.timeout),
    FIELD("total_timeout", VIC_OPTION_SECONDS, request.total_timeout),
    FIELD("before", VIC_OPTION_SECONDS, request.before),
    FIELD("max_body", VIC_OPTION_SIZE, request.max_body),
    FIELD("follow", VIC_OPTION_UNSIGNED, request.follow),
    FIELD("once", VIC_OPTION_BOOL, request.once),
    FIELD("discreet", VIC_OPTION_BOOL, request.discreet),
    { "headers", VIC_OPTION_OTHER, 0 },
    { "pool", VIC_OPTION_OTHER, 0 },
    { NULL, 0, 0 },
};
#undef FIELD

void vic_http_read_opts(lua_State *L, int index, const struct vic_http_pool *pool,
                        struct vic_request_opts *opts, size_t *max_line)
{
    struct request_opts read = { .request = { .timeout = 30, .max_body = MAX_BODY },
                                 .max_line = max_line ? *max_line : 0 };

    luaL_checktype(L, index, LUA_TTABLE);
    vic_options_read(L, index, max_line ? OPTIONS : OPTIONS + 1, &read);
    if (!read.request.url)
        luaL_error(L, "option 'url' is missing");
    *opts = read.request;
    opts->body = read.body.data;
    opts->body_size = read.body.size;
    opts->user_agent = USER_AGENT;
    opts->task = vic_task_label();
    opts->connect_timeout = pool->connect_timeout;
    opts->stay = pool->learn;
    opts->shares = pool->shares;
    opts->anywhere = pool->anywhere;
    if (max_line)
        *max_line = read.max_line;
}

/* Adds the header of the name and value on top of the stack; -1: err is set. */
static int read_header(lua_State *L, struct vic_headers *headers, struct vic_error *err)
{
    const char *name, *value;
    size_t name_size, value_size;

    if (lua_type(L, -2) != LUA_TSTRING)
        luaL_error(L, "option 'headers': names must be strings");
    if (!lua_isstring(L, -1))
        luaL_error(L, "option 'headers': '%s' is no string", lua_tostring(L, -2));
    name = lua_tolstring(L, -2, &name_size);
    value = lua_tolstring(L, -1, &value_size);
    if (strlen(name) != name_size || strlen(value) != value_size)
        return vic_error_set(err, VIC_INVALID, "a header with a zero byte inside");
    return vic_headers_add(headers, name, value, err);
}

int vic_http_read_headers(lua_State *L, int index, struct vic_headers *headers,
                          struct vic_error *err)
{
    int result = 0;

    if (lua_getfield(L, index, "headers") != LUA_TNIL) {
        luaL_checktype(L, -1, LUA_TTABLE);
        for (lua_pushnil(L); result == 0 && lua_next(L, -2); lua_pop(L, 1))
            result = read_header(L, headers, err);
    }
    lua_settop(L, -2 - (result < 0)); /* the table, and a key that was not gone past */
    return result;
}

static void push_certificate(lua_State *L, const struct vic_tls_peer *peer)
{
    lua_createtable(L, 0, 6);
    lua_pushstring(L, peer->sha256);
    lua_setfield(L, -2, "fingerprint");
    lua_pushstring(L, peer->sha1);
    lua_setfield(L, -2, "sha1");
    lua_pushstring(L, peer->issuer);
    lua_setfield(L, -2, "issuer");
    lua_pushstring(L, peer->subject);
    lua_setfield(L, -2, "subject");
    lua_pushstring(L, peer->reason);
    lua_setfield(L, -2, "reason");
    lua_pushboolean(L, peer->trusted);
    lua_setfield(L, -2, "trusted");
}

int vic_http_push_failure(lua_State *L, const struct vic_request *request)
{
    const struct vic_error *err = vic_request_error(request);
    const struct vic_answer *answer = vic_request_answer(request);

    vic_fail_error(L, err);
    if (answer->has_peer && err->kind == VIC_TLS) {
        push_certificate(L, &answer->peer);
        lua_setfield(L, -2, "certificate");
    }
    if (vic_request_is_denied(request)) {
        lua_pushliteral(L, "EndpointDenied");
        lua_setfield(L, -2, "code");
    }
    return 2;
}

void vic_http_push_head(lua_State *L, const struct vic_answer *answer)
{
    size_t i;

    lua_createtable(L, 0, 5);
    lua_pushinteger(L, answer->status);
    lua_setfield(L, -2, "status");
    lua_pushstring(L, answer->url);
    lua_setfield(L, -2, "url");
    lua_createtable(L, 0, (int)answer->headers.count);
    for (i = 0; i < answer->headers.count; i++) {
        lua_pushstring(L, answer->headers.list[i].value);
        lua_setfield(L, -2, answer->headers.list[i].name);
    }
    lua_setfield(L, -2, "headers");
    if (answer->has_peer) {
        push_certificate(L, &answer->peer);
        lua_setfield(L, -2, "certificate");
    }
}

void vic_http_push_answer(lua_State *L, const struct vic_answer *answer)
{
    vic_http_push_head(L, answer);
    lua_pushlstring(L, answer->body ? answer->body : "", answer->body_size);
    lua_setfield(L, -2, "body");
}
