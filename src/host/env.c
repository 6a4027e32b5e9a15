/*
 * host.env: what surrounds the process: environment, arguments, stdout, terminal.
 */
#include "env.h"

#include "error.h"
#include "fail.h"
#include "host.h"
#include "text.h"

#include <lauxlib.h>
#include <malloc.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS 80

static struct {
    int count;
    char **values;
} args;

void vic_env_args(int argc, char **argv)
{
    args.count = argc;
    args.values = argv;
}

/*
 * env.get(name) -> string | nil
 * A variable of the environment.
 */
static int l_env_get(lua_State *L)
{
    lua_pushstring(L, getenv(luaL_checkstring(L, 1)));
    return 1;
}

/*
 * env.args() -> list
 * The arguments of the process; [0] is the program as it was called.
 */
static int l_env_args(lua_State *L)
{
    int i;

    lua_createtable(L, args.count, 1);
    for (i = 0; i < args.count; i++) {
        lua_pushstring(L, args.values[i]);
        lua_rawseti(L, -2, i);
    }
    return 1;
}

/*
 * env.version() -> string
 * This program's, "2.0.0".
 */
static int l_env_version(lua_State *L)
{
    lua_pushliteral(L, VIC_VERSION);
    return 1;
}

/* All of it, or errno. */
static int env_write_all(int fd, const char *text, size_t len)
{
    struct pollfd ready = { .fd = fd, .events = POLLOUT };

    while (len > 0) {
        ssize_t n = write(fd, text, len);

        if (n >= 0) {
            text += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            poll(&ready, 1, -1); /* somebody made the terminal non-blocking */
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

static int l_write(lua_State *L, int fd, const char *name)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    struct vic_text lines = { 0 };
    struct vic_error err;
    int number;

    if (lua_toboolean(L, 2))
        vic_text_add(&lines, text, len);
    else
        vic_text_lines(&lines, text, len);
    number = env_write_all(fd, lines.data, lines.size);
    vic_text_fini(&lines);

    if (number && number != EPIPE) {
        vic_error_errno(&err, number, "writing to %s", name);
        return vic_fail_error(L, &err);
    }
    lua_pushboolean(L, number == 0);
    return 1;
}

/*
 * env.stdout(text, as_is?) -> boolean | nil, err
 *
 *   text    string  lines, written whole before the call returns; what could move a
 *                   terminal or deceive who reads it as text.visible has it
 *   as_is   boolean the text holds escape sequences of ours, and of others only what was
 *                   made visible before                                 (default false)
 *   result  boolean false: nobody reads any more (as in `| head`), no reason to complain
 *   err     io, nospace ...
 *
 * Waits for whoever reads, the loop with it: for the lines of a command, not for bulk.
 */
static int l_env_stdout(lua_State *L)
{
    return l_write(L, STDOUT_FILENO, "standard output");
}

/*
 * env.stderr(text, as_is?) -> boolean | nil, err
 * As stdout. Events belong into host.log.
 */
static int l_env_stderr(lua_State *L)
{
    return l_write(L, STDERR_FILENO, "standard error");
}

/*
 * env.is_terminal(fd) -> boolean
 * Whether somebody sits behind 0, 1 or 2.
 */
static int l_env_is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

/*
 * env.columns() -> integer
 * The width of the terminal that stdout or stderr is; 80 if neither is one.
 */
static int l_env_columns(lua_State *L)
{
    struct winsize size;

    if ((ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ||
         ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0) &&
        size.ws_col > 0)
        lua_pushinteger(L, size.ws_col);
    else
        lua_pushinteger(L, COLUMNS);
    return 1;
}

/*
 * env.trim_memory()
 * Collects garbage and gives what is free back to the system. For once in a while: after
 * much was read that is not kept.
 */
static int l_env_trim_memory(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT);
    malloc_trim(0);
    return 0;
}

int vic_open_env(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "get", l_env_get },
        { "args", l_env_args },
        { "version", l_env_version },
        { "stdout", l_env_stdout },
        { "stderr", l_env_stderr },
        { "is_terminal", l_env_is_terminal },
        { "columns", l_env_columns },
        { "trim_memory", l_env_trim_memory },
        { NULL, NULL },
    };

    luaL_newlib(L, functions);
    return 1;
}
