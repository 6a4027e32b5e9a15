/*
 * The module `httpd` for the specs.
 */
#include "httpd.h"

#include <lauxlib.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define SERVER_TYPE "httpd.server"

static struct server *check_server(lua_State *L)
{
    struct server **box = luaL_checkudata(L, 1, SERVER_TYPE);

    luaL_argcheck(L, *box, 1, "the server is closed");
    return *box;
}

/* The table keeps the string. */
static const char *text_field(lua_State *L, const char *name, const char *otherwise)
{
    const char *text;

    lua_getfield(L, 1, name);
    text = luaL_optstring(L, -1, otherwise);
    lua_pop(L, 1);
    return text;
}

static bool bool_field(lua_State *L, const char *name)
{
    bool value;

    lua_getfield(L, 1, name);
    value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

/*
 * httpd.new(opts?) -> server
 *
 *   opts.cert, opts.key  PEM     speak TLS             (default: plain HTTP)
 *   opts.version, opts.ciphers, opts.wants_client, opts.hangs_up,
 *   opts.turns_away      as httpd.h's server_tls
 *   opts.address         string  of the loopback net  (default 127.0.0.1)
 *
 * Listens at server:port(). Close it.
 */
static int l_new(lua_State *L)
{
    struct server **box = lua_newuserdatauv(L, sizeof(*box), 0);
    const char *address = "127.0.0.1";
    struct server_tls tls = { 0 };

    *box = NULL;
    luaL_setmetatable(L, SERVER_TYPE);
    if (lua_istable(L, 1)) {
        tls.cert = text_field(L, "cert", NULL);
        tls.key = text_field(L, "key", NULL);
        tls.version = text_field(L, "version", NULL);
        tls.ciphers = text_field(L, "ciphers", NULL);
        address = text_field(L, "address", address);
        tls.wants_client = bool_field(L, "wants_client");
        tls.hangs_up = bool_field(L, "hangs_up");
        tls.turns_away = bool_field(L, "turns_away");
    }
    *box = server_new(address, &tls);
    if (!*box)
        return luaL_error(L, "no server: %s", strerror(errno));
    return 1;
}

/* The step on top of the stack: a string to send, or a table. */
static struct step *read_step(lua_State *L)
{
    struct step *step = calloc(1, sizeof(*step));
    const char *bytes;

    step->kind = STEP_CLOSE;
    step->times = 1;
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "wait");
        lua_getfield(L, -2, "times");
        lua_getfield(L, -3, "send");
        if (lua_toboolean(L, -3))
            step->kind = STEP_WAIT;
        step->seconds = lua_tonumber(L, -3);
        if (lua_toboolean(L, -2))
            step->times = (unsigned long)lua_tointeger(L, -2);
        lua_remove(L, -2);
        lua_remove(L, -2);
        lua_remove(L, -2);
    }
    bytes = lua_tolstring(L, -1, &step->size);
    if (bytes && strcmp(bytes, "<reset>") == 0) {
        step->kind = STEP_RESET;
    } else if (bytes && strcmp(bytes, "<hang>") == 0) {
        step->kind = STEP_HANG;
    } else if (bytes && strcmp(bytes, "<close>") != 0) {
        step->kind = STEP_SEND;
        step->bytes = malloc(step->size + 1);
        memcpy(step->bytes, bytes, step->size + 1);
    }
    return step;
}

/*
 * server:on(path, steps, ...)
 * What a request of `path` causes: the first one `steps`, the next one the next
 * argument; the last is also for all that follow. A step is
 *
 *   "bytes"                      sent as they are
 *   { send = "bytes", times = n }
 *   { wait = seconds }
 *   "<close>" "<reset>" "<hang>" the connection's end, the rude one, or silence
 */
static int l_on(lua_State *L)
{
    struct server *server = check_server(L);
    const char *path = luaL_checkstring(L, 2);
    int count = lua_gettop(L);
    int i;

    for (i = 3; i <= count; i++) {
        struct step *first = NULL;
        struct step **last = &first;
        lua_Integer n;

        luaL_checktype(L, i, LUA_TTABLE);
        for (n = 1; lua_geti(L, i, n) != LUA_TNIL; n++) {
            *last = read_step(L);
            last = &(*last)->next;
            lua_settop(L, count);
        }
        lua_settop(L, count);
        server_on(server, path, first);
    }
    return 0;
}

static void push_request(void *arg, const char *text, size_t size)
{
    lua_State *L = arg;

    lua_pushlstring(L, text, size);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* server:requests() -> list of requests as they came */
static int l_requests(lua_State *L)
{
    struct server *server = check_server(L);

    lua_newtable(L);
    server_requests(server, push_request, L);
    return 1;
}

static int l_connections(lua_State *L)
{
    lua_pushinteger(L, server_connections(check_server(L)));
    return 1;
}

/* server:idle() -> whether no connection is open */
static int l_idle(lua_State *L)
{
    lua_pushboolean(L, server_idle(check_server(L)));
    return 1;
}

static int l_port(lua_State *L)
{
    lua_pushinteger(L, server_port(check_server(L)));
    return 1;
}

static int l_close(lua_State *L)
{
    struct server **box = luaL_checkudata(L, 1, SERVER_TYPE);

    if (*box)
        server_free(*box);
    *box = NULL;
    return 0;
}

int luaopen_httpd(lua_State *L);

int luaopen_httpd(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "on", l_on },      { "requests", l_requests }, { "connections", l_connections },
        { "port", l_port },  { "idle", l_idle },         { "close", l_close },
        { "__gc", l_close }, { "__close", l_close },     { NULL, NULL },
    };
    static const luaL_Reg functions[] = {
        { "new", l_new },
        { "certificate", l_certificate },
        { "hang_resolver", l_hang_resolver },
        { NULL, NULL },
    };

    luaL_newmetatable(L, SERVER_TYPE);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    luaL_newlib(L, functions);
    return 1;
}
