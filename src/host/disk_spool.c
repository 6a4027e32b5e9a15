#include "disk_spool.h"

#include "fail.h"
#include "options.h"
#include "spool.h"

#include <lauxlib.h>
#include <stddef.h>

#define SPOOL_TYPE "disk.spool"

struct spool_opts {
    const char *path;
    size_t capacity;
};

struct vic_spool *vic_spool_check(lua_State *L, int index)
{
    struct vic_spool **box = luaL_checkudata(L, index, SPOOL_TYPE);

    luaL_argcheck(L, *box, index, "the spool is closed");
    return *box;
}

/*
 * disk.spool(opts) -> spool, to be closed | nil, err
 *
 * A VMDK's stream kept as it came, with an index of its grains: PATH.vmdk and PATH.index,
 * and while they are not whole .part. It is published by an image server, which inflates
 * what is asked for; what has not come yet is waited for. A transfer (opts.spool) fills it.
 *
 *   opts.path      string  its folder is there
 *   opts.capacity  bytes   of the disk
 */
int vic_l_disk_spool(lua_State *L)
{
    static const struct vic_option LIST[] = {
        { "path", VIC_OPTION_STRING, offsetof(struct spool_opts, path) },
        { "capacity", VIC_OPTION_SIZE, offsetof(struct spool_opts, capacity) },
        { NULL, VIC_OPTION_OTHER, 0 },
    };
    struct spool_opts opts = { 0 };
    struct vic_spool **box;
    struct vic_error err;

    luaL_checktype(L, 1, LUA_TTABLE);
    vic_options_read(L, 1, LIST, &opts);
    luaL_argcheck(L, opts.path && opts.capacity, 1, "options 'path' and 'capacity'");
    box = lua_newuserdatauv(L, sizeof(*box), 0);
    *box = NULL;
    luaL_setmetatable(L, SPOOL_TYPE);
    *box = vic_spool_open(opts.path, opts.capacity, &err);
    if (!*box)
        return vic_fail_error(L, &err);
    return 1;
}

/*
 * spool:is_whole() -> boolean
 * All of it is here, verified and durable.
 */
static int l_spool_is_whole(lua_State *L)
{
    lua_pushboolean(L, vic_spool_is_whole(vic_spool_check(L, 1)));
    return 1;
}

/* spool:close(), __close and __gc: files stay; who reads a whole one goes on. */
static int l_spool_close(lua_State *L)
{
    struct vic_spool **box = luaL_checkudata(L, 1, SPOOL_TYPE);

    if (*box)
        vic_spool_close(*box);
    *box = NULL;
    return 0;
}

void vic_spool_register(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "close", l_spool_close },
        { "is_whole", l_spool_is_whole },
        { "__close", l_spool_close },
        { "__gc", l_spool_close },
        { NULL, NULL },
    };

    luaL_newmetatable(L, SPOOL_TYPE);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
