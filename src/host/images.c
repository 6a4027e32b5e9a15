/*
 * host.images: the image server, seen from Lua. It runs on threads of its own.
 */
#include "error.h"
#include "fail.h"
#include "host.h"
#include "imageserver.h"

#include <lauxlib.h>

#define SERVER_TYPE "vic.images"

static struct vic_imageserver *check_server(lua_State *L)
{
    struct vic_imageserver **box = luaL_checkudata(L, 1, SERVER_TYPE);

    luaL_argcheck(L, *box, 1, "the server is closed");
    return *box;
}

/*
 * images.serve(opts) -> server, to be closed | nil, err
 *
 *   opts.host             string   numeric address           (default: all addresses)
 *   opts.port             integer  0: any free one                        (default 0)
 *   opts.max_connections  integer  others wait                          (default 256)
 *   opts.idle_timeout     seconds  a connection may stand still          (default 60)
 *   opts.wait             seconds  an unknown path waits before ready()  (default 10)
 *   err                   invalid: no address; io, denied: it cannot listen there
 */
static int l_images_serve(lua_State *L)
{
    struct vic_imageserver_opts opts = { 0 };
    struct vic_imageserver **box;
    struct vic_error err;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_getfield(L, 1, "host");
    opts.host = luaL_optstring(L, 2, NULL);
    lua_getfield(L, 1, "port");
    opts.port = (uint16_t)luaL_optinteger(L, 3, 0);
    lua_getfield(L, 1, "max_connections");
    opts.max_connections = (unsigned)luaL_optinteger(L, 4, 0);
    lua_getfield(L, 1, "idle_timeout");
    opts.idle_timeout = (unsigned)luaL_optinteger(L, 5, 0);
    lua_getfield(L, 1, "wait");
    opts.wait = luaL_optnumber(L, 6, 0);

    box = lua_newuserdatauv(L, sizeof(*box), 0);
    *box = NULL;
    luaL_setmetatable(L, SERVER_TYPE);
    *box = vic_imageserver_start(&opts, &err);
    if (!*box)
        return vic_fail_error(L, &err);
    return 1;
}

/*
 * server:port() -> integer
 */
static int l_server_port(lua_State *L)
{
    lua_pushinteger(L, vic_imageserver_port(check_server(L)));
    return 1;
}

/*
 * server:publish(path, image)
 * From now on GET and HEAD of `path` answer with that file.
 *
 *   path        string   begins with "/"
 *   image.file  string   a regular file
 *   image.size  integer  bytes; the file must have just as many
 */
static int l_server_publish(lua_State *L)
{
    struct vic_imageserver *s = check_server(L);
    const char *path = luaL_checkstring(L, 2);
    lua_Integer size;

    luaL_argcheck(L, path[0] == '/', 2, "must begin with /");
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_getfield(L, 3, "file");
    lua_getfield(L, 3, "size");
    size = luaL_checkinteger(L, -1);
    luaL_argcheck(L, size >= 0, 3, "size is negative");
    vic_imageserver_publish(s, path, luaL_checkstring(L, -2), (uint64_t)size);
    return 0;
}

/*
 * server:forget(path)
 * 404 from now on; what is going out already goes on.
 */
static int l_server_forget(lua_State *L)
{
    vic_imageserver_forget(check_server(L), luaL_checkstring(L, 2));
    return 0;
}

/*
 * server:ready()
 * All routes there are have been published: an unknown path waits no longer.
 */
static int l_server_ready(lua_State *L)
{
    vic_imageserver_ready(check_server(L));
    return 0;
}

/*
 * server:stats(path) -> {requests, full_reads, bytes, active} | nil
 */
static int l_server_stats(lua_State *L)
{
    struct vic_imageserver_stats stats;

    if (!vic_imageserver_stats(check_server(L), luaL_checkstring(L, 2), &stats))
        return 0;
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, (lua_Integer)stats.requests);
    lua_setfield(L, -2, "requests");
    lua_pushinteger(L, (lua_Integer)stats.full_reads);
    lua_setfield(L, -2, "full_reads");
    lua_pushinteger(L, (lua_Integer)stats.bytes);
    lua_setfield(L, -2, "bytes");
    lua_pushinteger(L, stats.active);
    lua_setfield(L, -2, "active");
    return 1;
}

/* server:close(), __close and __gc: connections are cut. */
static int l_server_close(lua_State *L)
{
    struct vic_imageserver **box = luaL_checkudata(L, 1, SERVER_TYPE);

    vic_imageserver_stop(*box);
    *box = NULL;
    return 0;
}

int vic_open_images(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "close", l_server_close },
        { "forget", l_server_forget },
        { "port", l_server_port },
        { "publish", l_server_publish },
        { "ready", l_server_ready },
        { "stats", l_server_stats },
        { NULL, NULL },
    };
    static const luaL_Reg functions[] = {
        { "serve", l_images_serve },
        { NULL, NULL },
    };

    luaL_newmetatable(L, SERVER_TYPE);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_server_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, l_server_close);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
