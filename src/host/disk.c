/*
 * host.disk: disks on their way into files. Their bytes never enter Lua.
 *
 * A transfer is C memory that its thread and the loop see; Lua holds a box. It is
 * freed when both the loop has heard of its end and Lua has let go.
 */
#include "alloc.h"
#include "disk_options.h"
#include "disk_renewal.h"
#include "disk_spool.h"
#include "disk_stream.h"
#include "fail.h"
#include "host.h"
#include "magic.h"
#include "sync.h"
#include "transfer.h"

#include <lauxlib.h>
#include <uv.h>

#include <stdlib.h>

#define TRANSFER_TYPE "disk.transfer"

struct disk {
    struct vic_transfer *transfer; /* NULL: it has ended */
    uv_async_t async;
    struct vic_sync *ended;
    bool closed;  /* the loop has let go */
    bool dropped; /* Lua has let go */

    /* Once it has ended. */
    int code;
    int status;
    struct vic_error err;
    struct vic_disk_result result;
    struct vic_disk_progress progress;
};

static void disk_free_if_done(struct disk *d)
{
    if (!d->closed || !d->dropped)
        return;
    vic_sync_unref(d->ended);
    free(d);
}

static void disk_on_closed(uv_handle_t *handle)
{
    struct disk *d = handle->data;

    d->closed = true;
    disk_free_if_done(d);
}

/* On the loop: the transfer's thread is about to be gone. */
static void disk_on_ended(uv_async_t *async)
{
    struct disk *d = async->data;

    vic_transfer_progress(d->transfer, &d->progress);
    d->code = vic_transfer_join(d->transfer, &d->result, &d->err);
    d->status = vic_transfer_status(d->transfer);
    vic_transfer_free(d->transfer);
    d->transfer = NULL;
    vic_sync_wake_all(d->ended);
    uv_close((uv_handle_t *)async, disk_on_closed);
}

/* On the transfer's thread: no Lua, nothing but the wake-up. */
static void on_thread_end(void *arg)
{
    struct disk *d = arg;

    uv_async_send(&d->async);
}

/*
 * disk.transfer(opts) -> transfer | nil, err
 *
 * Starts fetching one disk, on threads of its own, into a sparse raw file. Until the
 * disk is whole, sound and durable, the file is called OUTPUT.part; on every other way
 * out nothing of it remains. The transfer is a closeable value; closing cancels it.
 *
 *   opts.source.url        string   http or https; printed without path and query
 *   opts.source.headers    table    name -> value; never printed
 *   opts.source.tls        table    ca (PEM) or thumbprint (SHA-256 or SHA-1 of the
 *                                   leaf), or learn                (the system's CAs)
 *   opts.source.connect_to string   "host:port" to connect to instead of the URL's
 *   opts.source.resumable boolean   a body that breaks off goes on where it broke, by a
 *                                   Range: only for bytes that do not change      (false)
 *   opts.source.zeros      bytes    so many of them, in place of url
 *   opts.source.offset, .length  bytes  the stream is this part of what is at the URL or in
 *                                   the file: asked for by a Range; where the server gives
 *                                   all, what comes before is dropped           (all of it)
 *   opts.source.renewal    headers  of disk.headers, besides: those in force whenever
 *                                   something is asked for; whoever is answered 401 waits
 *                                   for others and goes on where it was        (none)
 *   opts.source.file       string   a file, in place of url
 *   opts.format            string   "vmdk" (stream-optimised), "raw", or "stream": any
 *                                   bytes, kept as they come for somebody to decode
 *   opts.compression       string   "gzip": what comes is that of the format, compressed;
 *                                   digests and size are of what comes          (none)
 *   opts.guessed           boolean  of "raw": nobody has said so, only no header says
 *                                   otherwise. What stands at the end is looked at, and
 *                                   the footer of a fixed VHD is no part of the disk (false)
 *   opts.output            string   path of the raw file; one that exists is replaced
 *   opts.spool             spool    in place of output: kept there as it comes, and used
 *                                   while it comes; what is there already is not
 *                                   fetched again where the server allows
 *   opts.capacity          bytes    that the disk must have                     (any)
 *   opts.size              bytes    that the stream must have                   (any)
 *   opts.max_size          bytes    that it may have at most, unless size says      (any)
 *   opts.digests           list     of "sha1", "sha256", "sha512", "md5": of the stream
 *   opts.digest            table    {algorithm, value}: what the stream's must be
 *   opts.sha512            boolean  of the raw disk, holes included          (false)
 *   opts.idle_timeout      seconds  without a byte of the stream                (60)
 *   opts.least_rate        bytes    of the stream in a second, on average over ... (any)
 *   opts.rate_over         seconds  ... so long; while we take none does not count (900)
 *   opts.connect_timeout   seconds  for name, connection and TLS                (30)
 *   err  invalid            the URL, the CA or the thumbprint
 *        busy               another transfer writes that file
 *        conflict, denied, io, nospace, notfound: OUTPUT.part cannot be created
 *
 * Source: VMware, Virtual Disk Format 5.0.
 */
static int l_disk_transfer(lua_State *L)
{
    struct vic_transfer_opts opts = { 0 };
    struct vic_error err;
    struct disk **box;
    struct disk *d;

    vic_disk_options(L, 1, &opts);
    lua_getfield(L, 1, "spool");
    opts.spool = lua_isnil(L, -1) ? NULL : vic_spool_check(L, -1);
    luaL_argcheck(L, !opts.output != !opts.spool, 1,
                  "either option 'output' or 'spool' is needed");
    luaL_argcheck(L, !opts.spool || !opts.stream.gzip, 1, "a spool is of no gzip");
    luaL_argcheck(
        L, !opts.spool || (opts.stream.format == VIC_DISK_VMDK && opts.stream.capacity),
        1, "a spool is of a vmdk, and needs option 'capacity'");
    box = lua_newuserdatauv(L, sizeof(*box), 0);
    *box = NULL;
    luaL_setmetatable(L, TRANSFER_TYPE);

    d = vic_alloc(sizeof(*d));
    opts.ended = on_thread_end;
    opts.arg = d;
    uv_async_init(uv_default_loop(), &d->async, disk_on_ended);
    d->async.data = d;
    d->ended = vic_sync_new(0);
    *box = d;
    d->transfer = vic_transfer_start(&opts, &err);
    if (d->transfer)
        return 1;
    d->code = -1;
    uv_close((uv_handle_t *)&d->async, disk_on_closed);
    return vic_fail_error(L, &err);
}

static struct disk *check_disk(lua_State *L)
{
    return *(struct disk **)luaL_checkudata(L, 1, TRANSFER_TYPE);
}

/* Sets a field of the table on top to lower-case hex, if there is any. */
static void set_hex(lua_State *L, const char *name, const char *hex)
{
    if (!hex[0])
        return;
    lua_pushstring(L, hex);
    lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

static int push_result(lua_State *L, const struct disk *d)
{
    const struct vic_disk_result *r = &d->result;
    unsigned i;

    if (d->code) {
        vic_fail_error(L, &d->err);
        if (d->status)
            set_integer(L, "status", (uint64_t)d->status);
        return 2;
    }
    lua_createtable(L, 0, 5);
    set_integer(L, "capacity", r->capacity);
    set_integer(L, "received", r->received);
    set_integer(L, "written", r->written);
    set_hex(L, "sha512", r->sha512);
    lua_createtable(L, 0, VIC_ALGORITHMS);
    for (i = 0; i < VIC_ALGORITHMS; i++)
        set_hex(L, vic_algorithm_name((enum vic_algorithm)i), r->digests[i]);
    lua_setfield(L, -2, "digests");
    return 1;
}

static int wait_result(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    return push_result(L, check_disk(L));
}

/*
 * transfer:wait() -> result | nil, err                                 [waits]
 *
 *   result.capacity  bytes   of the disk, and length of the file
 *   result.received  bytes   of the stream
 *   result.written   bytes   of the disk that are not zeros, in blocks of 4 KiB
 *   result.digests   table   algorithm -> lower-case hex, of the stream as received
 *   result.sha512    string  of the disk, if it was asked for
 *   err  format      the stream is damaged, cut or not what was announced; the message
 *                    names its byte
 *        http        an answer other than 200 (err.status), or broken HTTP
 *        connect, dns, tls, timeout: the way to it
 *        nospace, io, denied: writing the file
 *        cancelled   it was closed
 *
 * May be called again, and by several tasks. Cancelling the waiting task does not
 * cancel the transfer; closing it does.
 */
static int l_transfer_wait(lua_State *L)
{
    struct disk *d = check_disk(L);

    lua_settop(L, 1);
    if (!d->transfer)
        return push_result(L, d);
    return vic_sync_wait(L, d->ended, -1, "a disk's transfer", wait_result);
}

/*
 * transfer:progress() -> {received, fetched, position, capacity, rate}
 *
 *   received  bytes    of the stream
 *   fetched   bytes    of these, from the source; the rest was here before
 *   position  bytes    of the disk that are passed
 *   capacity  bytes    of the disk; 0 while it is not known
 *   rate      bytes/s  of the stream, about now
 */
static int l_transfer_progress(lua_State *L)
{
    struct disk *d = check_disk(L);

    if (d->transfer)
        vic_transfer_progress(d->transfer, &d->progress);
    lua_createtable(L, 0, 5);
    set_integer(L, "received", d->progress.received);
    set_integer(L, "fetched", d->progress.fetched);
    set_integer(L, "position", d->progress.position);
    set_integer(L, "capacity", d->progress.capacity);
    lua_pushnumber(L, d->progress.rate);
    lua_setfield(L, -2, "rate");
    return 1;
}

/*
 * transfer:close()
 * Cancels what is under way; transfer:wait() tells when nothing of it is left. Also
 * __close.
 */
static int l_transfer_close(lua_State *L)
{
    struct disk *d = check_disk(L);

    if (d->transfer)
        vic_transfer_cancel(d->transfer);
    return 0;
}

static int l_transfer_gc(lua_State *L)
{
    struct disk **box = luaL_checkudata(L, 1, TRANSFER_TYPE);
    struct disk *d = *box;

    if (!d)
        return 0;
    *box = NULL;
    if (d->transfer)
        vic_transfer_cancel(d->transfer);
    d->dropped = true;
    disk_free_if_done(d);
    return 0;
}

/*
 * disk.magic(bytes) -> name | nil
 *
 *   bytes  string  the first of a disk image, 512 or more
 *   name   string  of the format that begins so ("qcow2", "VMDK" ...); a raw disk that
 *                  has one is no raw disk to others
 */
static int l_disk_magic(lua_State *L)
{
    size_t size;
    const char *bytes = luaL_checklstring(L, 1, &size);

    lua_pushstring(L, vic_magic_name((const unsigned char *)bytes, size));
    return 1;
}

static void register_transfer(lua_State *L)
{
    static const luaL_Reg meta[] = {
        { "__close", l_transfer_close },
        { "__gc", l_transfer_gc },
        { NULL, NULL },
    };
    static const luaL_Reg methods[] = {
        { "wait", l_transfer_wait },
        { "progress", l_transfer_progress },
        { "close", l_transfer_close },
        { NULL, NULL },
    };

    luaL_newmetatable(L, TRANSFER_TYPE);
    luaL_setfuncs(L, meta, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

int vic_open_disk(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "headers", vic_l_disk_headers }, { "magic", l_disk_magic },
        { "spool", vic_l_disk_spool },     { "stream", vic_l_disk_stream },
        { "transfer", l_disk_transfer },   { NULL, NULL },
    };

    register_transfer(L);
    vic_renewal_register(L);
    vic_stream_register(L);
    vic_spool_register(L);
    luaL_newlib(L, functions);
    return 1;
}
