#include "disk_stream.h"

#include "disk_options.h"
#include "fail.h"
#include "stream.h"
#include "transfer.h"

#include <lauxlib.h>

#define STREAM_TYPE "disk.stream"

static struct vic_stream *disk_stream_check(lua_State *L, int index)
{
    struct vic_stream **box = luaL_checkudata(L, index, STREAM_TYPE);

    luaL_argcheck(L, *box, index, "the stream is closed");
    return *box;
}

struct vic_image *vic_stream_test(lua_State *L, int index)
{
    if (!luaL_testudata(L, index, STREAM_TYPE))
        return NULL;
    return vic_stream_image(disk_stream_check(L, index));
}

/*
 * disk.stream(opts) -> stream, to be closed | nil, err
 *
 * A disk at its source, to be published by an image server: each full GET reads it there
 * anew. Nothing is read before, nothing is stored. Closing it ends what is under way.
 *
 *   opts  as disk.transfer has them, without output and sha512; capacity is needed
 *   err   invalid: the URL, the CA or the thumbprint
 */
int vic_l_disk_stream(lua_State *L)
{
    struct vic_transfer_opts opts = { 0 };
    struct vic_stream **box;
    struct vic_error err;

    vic_disk_options(L, 1, &opts);
    luaL_argcheck(L, opts.stream.capacity > 0, 1, "option 'capacity' is needed");
    luaL_argcheck(L, opts.stream.format != VIC_DISK_STREAM, 1,
                  "a format that is decoded here");
    box = lua_newuserdatauv(L, sizeof(*box), 0);
    *box = NULL;
    luaL_setmetatable(L, STREAM_TYPE);
    *box = vic_stream_new(&opts.stream, &err);
    if (!*box)
        return vic_fail_error(L, &err);
    return 1;
}

static void set_count(lua_State *L, const char *name, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

/* Sets digests of the last sound read, if there was one. */
static void set_digests(lua_State *L, const struct vic_stream_progress *p)
{
    unsigned i;

    if (!p->sound)
        return;
    lua_createtable(L, 0, VIC_ALGORITHMS);
    for (i = 0; i < VIC_ALGORITHMS; i++) {
        if (!p->digests[i][0])
            continue;
        lua_pushstring(L, p->digests[i]);
        lua_setfield(L, -2, vic_algorithm_name((enum vic_algorithm)i));
    }
    lua_setfield(L, -2, "digests");
}

/*
 * stream:progress() -> table
 *
 *   received, position, capacity, rate  of the read under way, as transfer:progress()
 *   reading   integer  reads of the whole under way
 *   reads     integer  that were begun
 *   sound     integer  that came to the stream's sound end
 *   failed    integer  that did not
 *   fetched   bytes    of the streams of all reads together
 *   passed    bytes    of the disk, of all reads together
 *   digests   table    algorithm -> hex, of the stream in the last sound read, or nil
 *   error     err      why the last one failed, or nil
 */
static int l_disk_stream_progress(lua_State *L)
{
    struct vic_stream_progress p;

    vic_stream_progress(disk_stream_check(L, 1), &p);
    lua_createtable(L, 0, 12);
    set_count(L, "received", p.now.received);
    set_count(L, "position", p.now.position);
    set_count(L, "capacity", p.now.capacity);
    lua_pushnumber(L, p.now.rate);
    lua_setfield(L, -2, "rate");
    set_count(L, "reading", p.reading);
    set_count(L, "reads", p.reads);
    set_count(L, "sound", p.sound);
    set_count(L, "failed", p.failed);
    set_count(L, "fetched", p.received);
    set_count(L, "passed", p.passed);
    set_digests(L, &p);
    if (p.failed) {
        vic_fail_push(L, &p.err);
        if (p.status)
            set_count(L, "status", (uint64_t)p.status);
        lua_setfield(L, -2, "error");
    }
    return 1;
}

/* stream:close(), __close and __gc: reads under way break off. */
static int l_disk_stream_close(lua_State *L)
{
    struct vic_stream **box = luaL_checkudata(L, 1, STREAM_TYPE);

    if (*box) {
        vic_stream_stop(*box);
        vic_image_unref(vic_stream_image(*box));
    }
    *box = NULL;
    return 0;
}

void vic_stream_register(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "close", l_disk_stream_close },
        { "progress", l_disk_stream_progress },
        { "__close", l_disk_stream_close },
        { "__gc", l_disk_stream_close },
        { NULL, NULL },
    };

    luaL_newmetatable(L, STREAM_TYPE);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
