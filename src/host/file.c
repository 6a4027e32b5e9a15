/*
 * host.file: small files, folders and locks. Every call is one job on libuv's pool of
 * threads; a job whose task is cancelled meanwhile tidies up after itself.
 */
#include "alloc.h"
#include "file_job.h"
#include "files.h"
#include "folders.h"
#include "host.h"

#include <lauxlib.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOCK_TYPE "vic.file.lock"
#define MAX_READ  ((size_t)16 * 1024 * 1024)

/* ---- read, write ---- */

static int run_read(struct vic_job *job)
{
    struct vic_file_job *file = (struct vic_file_job *)job;

    if (file->opts.first)
        return vic_file_part(file->path, file->opts.offset, file->opts.first, &file->data,
                             &file->size, &job->err);
    return vic_file_read(file->path, file->opts.max, &job->stop, &file->data, &file->size,
                         &job->err);
}

static int push_data(lua_State *L, struct vic_job *job)
{
    struct vic_file_job *file = (struct vic_file_job *)job;

    lua_pushlstring(L, file->data, file->size);
    return 1;
}

/*
 * file.read(path, opts?) -> text | nil, err                                   [waits]
 *
 *   path        string  a file, pipe or device; read to its end
 *   opts.max    bytes   what is larger is refused                    (default 16 MiB)
 *   opts.first  bytes   only so many, of a file of any size          (default: all)
 *   opts.offset bytes   and these from there on                      (default: 0)
 *   err         notfound, denied, io; invalid: it is larger
 */
static int l_file_read(lua_State *L)
{
    struct vic_file_opts opts = { .max = MAX_READ };

    vic_file_read_opts(L, 2, &opts);
    return vic_file_job_start(L, vic_file_job_new(L, &opts, run_read, push_data));
}

static int run_write(struct vic_job *job)
{
    struct vic_file_job *file = (struct vic_file_job *)job;

    return vic_file_write(file->path, file->data, file->size, file->opts.mode, &job->stop,
                          &job->err);
}

/*
 * file.write(path, text, opts?) -> true | nil, err                            [waits]
 *
 *   path       string  its place; a file that is there is replaced
 *   text       string  all of the new file
 *   opts.mode  int     permission bits                              (default 0600)
 *   err        notfound, denied, nospace, io
 *
 * Durable when it returns, and at every moment either the old or the new file: it is
 * made without a name, or as ".NAME.XXXXXX.new" beside it. Cancelled, it leaves the
 * old file, or, if it was too late for that, the new one.
 */
static int l_file_write(lua_State *L)
{
    struct vic_file_opts opts = { .mode = 0600 };
    struct vic_file_job *file;
    size_t size;
    const char *text = luaL_checklstring(L, 2, &size);

    vic_file_read_opts(L, 3, &opts);
    file = vic_file_job_new(L, &opts, run_write, NULL);
    file->data = vic_strndup(text, size);
    file->size = size;
    return vic_file_job_start(L, file);
}

/* ---- folders and names ---- */

static int run_mkdir(struct vic_job *job)
{
    struct vic_file_job *file = (struct vic_file_job *)job;

    if (file->opts.is_private)
        return vic_folder_make_private(file->path, &job->err);
    return vic_folder_make(file->path, file->opts.mode, file->opts.parents, &job->err);
}

/*
 * file.mkdir(path, opts?) -> true | nil, err                                  [waits]
 *
 *   opts.mode     int   permission bits, less the umask             (default 0777)
 *   opts.parents  bool  make what is missing above it, too         (default false)
 *   opts.private  bool  with parents, of mode 0700; one that is there must be ours, no
 *                       link, and not for all to write, else denied (default false)
 *   err           notfound, denied, nospace, io (also: it is there and is no folder)
 */
static int l_file_mkdir(lua_State *L)
{
    struct vic_file_opts opts = { .mode = 0777 };

    vic_file_read_opts(L, 2, &opts);
    return vic_file_job_start(L, vic_file_job_new(L, &opts, run_mkdir, NULL));
}

static int run_remove(struct vic_job *job)
{
    struct vic_file_job *file = (struct vic_file_job *)job;

    return vic_file_remove(file->path, file->opts.missing_ok, file->opts.recursive,
                           &job->stop, &job->err);
}

/*
 * file.remove(path, opts?) -> true | nil, err                                 [waits]
 *
 *   path             string  a file, link or empty folder
 *   opts.missing_ok  bool    it need not be there                  (default false)
 *   opts.recursive   bool    a folder with all that is in it       (default false)
 *   err              notfound, denied, io; invalid: "/", ".", ".." with recursive
 *
 * Links are removed, never followed. Cancelled, it stops at the next name.
 */
static int l_file_remove(lua_State *L)
{
    struct vic_file_opts opts = { 0 };

    vic_file_read_opts(L, 2, &opts);
    return vic_file_job_start(L, vic_file_job_new(L, &opts, run_remove, NULL));
}

static int run_rename(struct vic_job *job)
{
    struct vic_file_job *file = (struct vic_file_job *)job;

    return vic_file_rename(file->path, file->to, &job->err);
}

/*
 * file.rename(from, to) -> true | nil, err                                    [waits]
 * What was at `to` is replaced. Durable when it returns.
 *
 *   err  notfound, denied, nospace, io (also: another file system)
 */
static int l_file_rename(lua_State *L)
{
    const char *to = vic_file_check_path(L, 2);
    struct vic_file_job *file = vic_file_job_new(L, NULL, run_rename, NULL);

    file->to = vic_strdup(to);
    return vic_file_job_start(L, file);
}

static int run_list(struct vic_job *job)
{
    struct vic_file_job *file = (struct vic_file_job *)job;

    return vic_folder_list(file->path, &file->names, &job->err);
}

static int push_names(lua_State *L, struct vic_job *job)
{
    struct vic_file_job *file = (struct vic_file_job *)job;
    lua_Integer i;

    lua_newtable(L);
    for (i = 0; file->names[i]; i++) {
        lua_pushstring(L, file->names[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/*
 * file.list(path) -> names | nil, err                                         [waits]
 *
 *   path   string  a folder
 *   names  list    what is in it but "." and "..", in byte order
 *   err    notfound, denied, io (also: it is no folder)
 */
static int l_file_list(lua_State *L)
{

    return vic_file_job_start(L, vic_file_job_new(L, NULL, run_list, push_names));
}

/* ---- about a file ---- */

static int run_stat(struct vic_job *job)
{
    struct vic_file_job *file = (struct vic_file_job *)job;

    return vic_file_stat(file->path, file->opts.follow, &file->stat, &job->err);
}

static int push_stat(lua_State *L, struct vic_job *job)
{
    struct vic_file_job *file = (struct vic_file_job *)job;

    lua_createtable(L, 0, 6);
    lua_pushinteger(L, file->stat.size);
    lua_setfield(L, -2, "size");
    lua_pushinteger(L, file->stat.blocks_bytes);
    lua_setfield(L, -2, "blocks_bytes");
    lua_pushnumber(L, file->stat.mtime);
    lua_setfield(L, -2, "mtime");
    lua_pushinteger(L, file->stat.mode);
    lua_setfield(L, -2, "mode");
    lua_pushinteger(L, file->stat.uid);
    lua_setfield(L, -2, "uid");
    lua_pushstring(L, file->stat.kind);
    lua_setfield(L, -2, "kind");
    return 1;
}

/*
 * file.stat(path, opts?) -> stat | nil, err                                   [waits]
 *
 *   opts.follow        bool     look at what a link points to          (default false)
 *   stat.size          bytes    its length
 *   stat.blocks_bytes  bytes    what it takes on the disk; less, if it has holes
 *   stat.kind          string   "file", "directory", "link" or "other"
 *   stat.mode          int      permission bits
 *   stat.mtime         seconds  since 1970
 *   stat.uid           int      its owner
 *   err                notfound, denied, io
 */
static int l_file_stat(lua_State *L)
{
    struct vic_file_opts opts = { 0 };

    vic_file_read_opts(L, 2, &opts);
    return vic_file_job_start(L, vic_file_job_new(L, &opts, run_stat, push_stat));
}

static int run_statfs(struct vic_job *job)
{
    struct vic_file_job *file = (struct vic_file_job *)job;

    return vic_file_space(file->path, &file->free_bytes, &file->total_bytes, &job->err);
}

static int push_space(lua_State *L, struct vic_job *job)
{
    struct vic_file_job *file = (struct vic_file_job *)job;

    lua_createtable(L, 0, 2);
    lua_pushinteger(L, (lua_Integer)file->free_bytes);
    lua_setfield(L, -2, "free_bytes");
    lua_pushinteger(L, (lua_Integer)file->total_bytes);
    lua_setfield(L, -2, "total_bytes");
    return 1;
}

/*
 * file.statfs(path) -> space | nil, err                                       [waits]
 *
 *   path               string  anything on the file system in question
 *   space.free_bytes   bytes   what we may still write
 *   space.total_bytes  bytes   its size
 *   err                notfound, denied, io
 */
static int l_file_statfs(lua_State *L)
{

    return vic_file_job_start(L, vic_file_job_new(L, NULL, run_statfs, push_space));
}

/* ---- locks ---- */

/* Both __close and __gc, and lock:close(). Closing a locked file does not block. */
static int l_lock_close(lua_State *L)
{
    int *fd = luaL_checkudata(L, 1, LOCK_TYPE);

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return 0;
}

static int run_lock(struct vic_job *job)
{
    struct vic_file_job *file = (struct vic_file_job *)job;

    return vic_file_lock(file->path, &file->fd, &job->err);
}

static int push_lock(lua_State *L, struct vic_job *job)
{
    struct vic_file_job *file = (struct vic_file_job *)job;
    int *fd = lua_newuserdatauv(L, sizeof(*fd), 0);

    *fd = file->fd;
    file->fd = -1;
    luaL_setmetatable(L, LOCK_TYPE);
    return 1;
}

/*
 * file.lock(path) -> lock | nil, err                                          [waits]
 *
 *   path  string  a file, made if it is not there, or a folder
 *   lock  value   to be closed; held until then, or until the process ends
 *   err   busy: another process, or another lock of ours, holds it; denied, io
 *
 * Advisory (flock), and not inherited by subprocesses. A lock file stays behind.
 */
static int l_file_lock(lua_State *L)
{

    return vic_file_job_start(L, vic_file_job_new(L, NULL, run_lock, push_lock));
}

int vic_open_file(lua_State *L)
{
    static const luaL_Reg lock_methods[] = {
        { "close", l_lock_close },
        { "__close", l_lock_close },
        { "__gc", l_lock_close },
        { NULL, NULL },
    };
    static const luaL_Reg functions[] = {
        { "list", l_file_list }, { "lock", l_file_lock },     { "mkdir", l_file_mkdir },
        { "read", l_file_read }, { "remove", l_file_remove }, { "rename", l_file_rename },
        { "stat", l_file_stat }, { "statfs", l_file_statfs }, { "write", l_file_write },
        { NULL, NULL },
    };

    luaL_newmetatable(L, LOCK_TYPE);
    luaL_setfuncs(L, lock_methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    luaL_newlib(L, functions);
    return 1;
}
