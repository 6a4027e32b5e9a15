/*
 * host.images: the image server, seen from Lua. It runs on threads of its own.
 */
#include "disk_spool.h"
#include "disk_stream.h"
#include "error.h"
#include "fail.h"
#include "host.h"
#include "imageserver.h"
#include "listen.h"
#include "options.h"
#include "spool.h"

#include <lauxlib.h>
#include <stddef.h>

#define SERVER_TYPE "vic.images"

/* Pushes a server that is not started yet. */
static struct vic_imageserver **imageserver_push(lua_State *L)
{
    struct vic_imageserver **box = lua_newuserdatauv(L, sizeof(*box), 0);

    *box = NULL;
    luaL_setmetatable(L, SERVER_TYPE);
    return box;
}

static struct vic_imageserver *imageserver_check(lua_State *L)
{
    struct vic_imageserver **box = luaL_checkudata(L, 1, SERVER_TYPE);

    luaL_argcheck(L, *box, 1, "the server is closed");
    return *box;
}

/*
 * images.serve(opts?) -> server, to be closed | nil, err
 *
 *   opts.host             string   numeric address           (default: all addresses)
 *   opts.port             integer  0: any free one                        (default 0)
 *   opts.max_connections  integer  others wait                          (default 256)
 *   opts.idle_timeout     integer  seconds a connection may stand still  (default 60)
 *   opts.head_time        seconds  a connection may take to send its first request's
 *                                  head; of those that lack theirs 32 of an address and
 *                                  128 in all stay, the youngest         (default 10)
 *   opts.wait             seconds  an unknown path waits before ready(), and a GET of a
 *                                  held one                              (default 50)
 *   opts.tick             seconds  between two bytes of an image that has begun, while
 *                                  there are none: who downloads it gives up when nothing
 *                                  comes for a while                       (default 1)
 *   opts.sha512           boolean  of every image that goes out whole (default false)
 *   err                   invalid: no address; io, denied: it cannot listen there
 */
static int l_images_serve(lua_State *L)
{
    static const struct vic_option LIST[] = {
        { "host", VIC_OPTION_STRING, offsetof(struct vic_imageserver_opts, host) },
        { "port", VIC_OPTION_PORT, offsetof(struct vic_imageserver_opts, port) },
        { "max_connections", VIC_OPTION_UNSIGNED,
          offsetof(struct vic_imageserver_opts, max_connections) },
        { "idle_timeout", VIC_OPTION_UNSIGNED,
          offsetof(struct vic_imageserver_opts, idle_timeout) },
        { "head_time", VIC_OPTION_SECONDS,
          offsetof(struct vic_imageserver_opts, head_time) },
        { "wait", VIC_OPTION_SECONDS, offsetof(struct vic_imageserver_opts, wait) },
        { "tick", VIC_OPTION_SECONDS, offsetof(struct vic_imageserver_opts, tick) },
        { "sha512", VIC_OPTION_BOOL, offsetof(struct vic_imageserver_opts, sha512) },
        { NULL, VIC_OPTION_OTHER, 0 },
    };
    struct vic_imageserver_opts opts = { 0 };
    struct vic_imageserver **box;
    struct vic_error err;

    vic_options_read(L, 1, LIST, &opts);
    box = imageserver_push(L);
    *box = vic_imageserver_start(&opts, &err);
    if (!*box)
        return vic_fail_error(L, &err);
    return 1;
}

/*
 * server:port() -> integer
 */
static int l_imageserver_port(lua_State *L)
{
    lua_pushinteger(L, vic_listen_port(vic_imageserver_socket(imageserver_check(L))));
    return 1;
}

/*
 * server:address() -> string
 * "127.0.0.1:8080" or "[::]:8080": where it listens, as in a URL.
 */
static int l_imageserver_address(lua_State *L)
{
    char text[VIC_ADDRESS_SIZE];

    vic_listen_address(vic_imageserver_socket(imageserver_check(L)), text);
    lua_pushstring(L, text);
    return 1;
}

/*
 * server:publish(path, image)
 * From now on GET and HEAD of `path` answer with that file; with 503 while it is not
 * there or has another size. Again changes nothing; another image replaces it.
 *
 *   path          string   begins with "/"; compared as it stands in the request
 *   image.file    string   a regular file
 *   image.size    integer  bytes; the file must have just as many
 *   image.stream  stream or spool of host.disk, in place of both
 */
static int l_imageserver_publish(lua_State *L)
{
    struct vic_imageserver *s = imageserver_check(L);
    const char *path = luaL_checkstring(L, 2);
    lua_Integer size;

    luaL_argcheck(L, path[0] == '/', 2, "must begin with /");
    luaL_checktype(L, 3, LUA_TTABLE);
    if (lua_getfield(L, 3, "stream") != LUA_TNIL) {
        struct vic_image *image = vic_stream_test(L, -1);

        if (!image)
            image = vic_spool_image(vic_spool_check(L, -1));
        vic_imageserver_publish_image(s, path, image);
        return 0;
    }
    lua_getfield(L, 3, "file");
    lua_getfield(L, 3, "size");
    size = luaL_checkinteger(L, -1);
    luaL_argcheck(L, size >= 0, 3, "size is negative");
    vic_imageserver_publish(s, path, luaL_checkstring(L, -2), (uint64_t)size);
    return 0;
}

/*
 * server:hold(path, size)
 * HEAD of `path` answers with that size; a GET waits until something is published there,
 * for opts.wait seconds, and then is 503. What is going out already goes on.
 */
static int l_imageserver_hold(lua_State *L)
{
    struct vic_imageserver *s = imageserver_check(L);
    const char *path = luaL_checkstring(L, 2);
    lua_Integer size = luaL_checkinteger(L, 3);

    luaL_argcheck(L, path[0] == '/', 2, "must begin with /");
    luaL_argcheck(L, size >= 0, 3, "size is negative");
    vic_imageserver_hold(s, path, (uint64_t)size);
    return 0;
}

/*
 * server:forget(path)
 * 404 from now on; what is going out already goes on.
 */
static int l_imageserver_forget(lua_State *L)
{
    vic_imageserver_forget(imageserver_check(L), luaL_checkstring(L, 2));
    return 0;
}

/*
 * server:ready()
 * All routes there are have been published: an unknown path waits no longer.
 */
static int l_imageserver_ready(lua_State *L)
{
    vic_imageserver_ready(imageserver_check(L));
    return 0;
}

/*
 * server:stand_by(base?)
 * This replica has no images: what was published is forgotten.
 *
 *   base  string  "http://HOST:PORT": they are there, every path is redirected (307);
 *                 nil: that is not known, requests wait for opts.wait seconds
 */
static int l_imageserver_stand_by(lua_State *L)
{
    struct vic_imageserver *s = imageserver_check(L);

    vic_imageserver_stand_by(s, luaL_optstring(L, 2, NULL));
    return 0;
}

/*
 * server:lead()
 * The images are here: they are published from now on, then ready() is called.
 */
static int l_imageserver_lead(lua_State *L)
{
    vic_imageserver_lead(imageserver_check(L));
    return 0;
}

/*
 * server:stats(path) -> {requests, full_reads, bytes, active, sha512} | nil
 *
 *   requests    integer  answered with the image or a part of it
 *   full_reads  integer  GETs of the whole that went out to the last byte
 *   bytes       integer  of answers that went out to the last byte
 *   active      integer  requests under way
 *   sha512      string   of the last full read, in hex; nil while there is none
 *   nil                  the path is not published
 */
static int l_imageserver_stats(lua_State *L)
{
    struct vic_imageserver_stats stats;

    if (!vic_imageserver_stats(imageserver_check(L), luaL_checkstring(L, 2), &stats))
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
    if (stats.sha512[0]) {
        lua_pushstring(L, stats.sha512);
        lua_setfield(L, -2, "sha512");
    }
    return 1;
}

/* server:close(), __close and __gc: connections are cut. */
static int l_imageserver_close(lua_State *L)
{
    struct vic_imageserver **box = luaL_checkudata(L, 1, SERVER_TYPE);

    vic_imageserver_stop(*box);
    *box = NULL;
    return 0;
}

int vic_open_images(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "address", l_imageserver_address },
        { "close", l_imageserver_close },
        { "forget", l_imageserver_forget },
        { "hold", l_imageserver_hold },
        { "lead", l_imageserver_lead },
        { "port", l_imageserver_port },
        { "publish", l_imageserver_publish },
        { "ready", l_imageserver_ready },
        { "stand_by", l_imageserver_stand_by },
        { "stats", l_imageserver_stats },
        { "__close", l_imageserver_close },
        { "__gc", l_imageserver_close },
        { NULL, NULL },
    };
    static const luaL_Reg functions[] = {
        { "serve", l_images_serve },
        { NULL, NULL },
    };

    luaL_newmetatable(L, SERVER_TYPE);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    luaL_newlib(L, functions);
    return 1;
}
