/*
 * host.process: other programs, run to their end.
 */
#include "alloc.h"
#include "child.h"
#include "confine.h"
#include "fail.h"
#include "host.h"
#include "options.h"
#include "process_limits.h"
#include "task.h"
#include "wait.h"

#include <lauxlib.h>
#include <uv.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OUTPUT ((size_t)1024 * 1024)
#define SIGNALLED  128 /* the status of one that a signal ended, less that */
#define TAIL_SIZE  256
#define TAIL_TYPE  "vic.process.tail"

/* The end of what a program wrote, while it runs: shared by the run and Lua's box. */
struct tail {
    unsigned refs;
    size_t size;
    char data[TAIL_SIZE];
};

struct run {
    struct vic_wait wait; /* first, so that a vic_wait * is a run * */
    struct vic_child *child;
    char **argv; /* these three until the child is started */
    char **env;
    char **launcher;
    struct tail *tail;     /* NULL: nobody listens */
    struct vic_task *held; /* was cancelled, and settles when the program is gone */
};

struct run_opts {
    struct vic_bytes input;
    double timeout;
    size_t max_output;
    const char *cwd;
    bool inherit;
};

static void list_free(char **list)
{
    char **at;

    for (at = list; at && *at; at++)
        free(*at);
    free(list);
}

static void tail_unref(struct tail *tail)
{
    if (tail && --tail->refs == 0)
        free(tail);
}

static void run_heard(void *arg, const char *data, size_t size)
{
    struct tail *tail = ((struct run *)arg)->tail;
    size_t keep;

    if (!tail)
        return;
    if (size > TAIL_SIZE) {
        data += size - TAIL_SIZE;
        size = TAIL_SIZE;
    }
    keep = tail->size < TAIL_SIZE - size ? tail->size : TAIL_SIZE - size;
    memmove(tail->data, tail->data + tail->size - keep, keep);
    memcpy(tail->data + keep, data, size);
    tail->size = keep + size;
}

static void run_done(void *arg)
{
    vic_wait_done(&((struct run *)arg)->wait);
}

static void run_cancel(struct vic_wait *wait)
{
    struct run *run = (struct run *)wait;

    run->held = vic_task_hold();
    vic_child_kill(run->child);
}

static void run_free(struct vic_wait *wait)
{
    struct run *run = (struct run *)wait;
    struct vic_task *held = run->held;

    vic_child_free(run->child);
    list_free(run->argv);
    list_free(run->env);
    list_free(run->launcher);
    tail_unref(run->tail);
    free(run);
    if (held)
        vic_task_release(held);
}

static void set_output(lua_State *L, const char *name,
                       const struct vic_child_output *output)
{
    lua_pushlstring(L, output->data ? output->data : "", output->size);
    lua_setfield(L, -2, name);
}

static int run_result(lua_State *L, int status, lua_KContext ctx)
{
    const struct run *run = (const struct run *)ctx;
    const struct vic_child_result *result = vic_child_result(run->child);

    (void)status;
    if (vic_child_error(run->child))
        return vic_fail_error(L, vic_child_error(run->child));
    if (run->launcher && result->status == VIC_CONFINE_MISSING)
        return vic_fail(L, "notfound", "%s: no such program", run->argv[0]);
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, result->signal ? SIGNALLED + result->signal : result->status);
    lua_setfield(L, -2, "status");
    if (result->signal) {
        lua_pushinteger(L, result->signal);
        lua_setfield(L, -2, "signal");
    }
    set_output(L, "stdout", &result->out);
    set_output(L, "stderr", &result->err);
    return 1;
}

static void read_opts(lua_State *L, struct run_opts *opts)
{
#define FIELD(name, type, field)                                                         \
    {                                                                                    \
        name, type, offsetof(struct run_opts, field)                                     \
    }
    static const struct vic_option options[] = {
        FIELD("stdin", VIC_OPTION_BYTES, input),
        FIELD("timeout", VIC_OPTION_SECONDS, timeout),
        FIELD("max_output", VIC_OPTION_SIZE, max_output),
        FIELD("cwd", VIC_OPTION_STRING, cwd),
        FIELD("inherit", VIC_OPTION_BOOL, inherit),
        { "argv", VIC_OPTION_OTHER, 0 },
        { "env", VIC_OPTION_OTHER, 0 },
        { "limits", VIC_OPTION_OTHER, 0 },
        { "tail", VIC_OPTION_OTHER, 0 },
        { NULL, 0, 0 },
    };
#undef FIELD

    luaL_checktype(L, 1, LUA_TTABLE);
    vic_options_read(L, 1, options, opts);
}

/* A copy of the string on top, which the other side sees whole. */
static char *copy_string(lua_State *L, const char *option)
{
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);

    if (!text || strlen(text) != size)
        luaL_error(L, "option '%s': strings without zero bytes expected", option);
    return vic_strndup(text, size);
}

static void read_argv(lua_State *L, struct run *run)
{
    lua_Integer i, count;

    lua_getfield(L, 1, "argv");
    luaL_checktype(L, -1, LUA_TTABLE);
    count = luaL_len(L, -1);
    if (count < 1 || count > INT_MAX)
        luaL_error(L, "option 'argv': the program's name is missing");
    run->argv = vic_alloc(((size_t)count + 1) * sizeof(*run->argv));
    for (i = 0; i < count; i++) {
        lua_geti(L, -1, i + 1);
        run->argv[i] = copy_string(L, "argv");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void read_env(lua_State *L, struct run *run)
{
    size_t count = 0;

    if (lua_getfield(L, 1, "env") != LUA_TNIL) {
        luaL_checktype(L, -1, LUA_TTABLE);
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
            if (lua_type(L, -2) != LUA_TSTRING || strchr(lua_tostring(L, -2), '='))
                luaL_error(L, "option 'env': not the name of a variable");
            run->env = vic_realloc(run->env, (count + 2) * sizeof(*run->env));
            run->env[count] = run->env[count + 1] = NULL;
            lua_pushvalue(L, -2);
            lua_pushliteral(L, "=");
            lua_pushvalue(L, -3);
            lua_concat(L, 3);
            run->env[count++] = copy_string(L, "env");
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

static void read_tail(lua_State *L, struct run *run)
{
    if (lua_getfield(L, 1, "tail") != LUA_TNIL) {
        run->tail = *(struct tail **)luaL_checkudata(L, -1, TAIL_TYPE);
        run->tail->refs++;
    }
    lua_pop(L, 1);
}

/*
 * process.run(opts) -> result | nil, err                                      [waits]
 *
 *   opts.argv        list     the program, searched in PATH, and its arguments; no shell
 *   opts.stdin       string   given to it                             (default: nothing)
 *   opts.timeout     seconds  then it is killed                      (default: no limit)
 *   opts.max_output  bytes    of both outputs together                 (default 1 MiB)
 *   opts.env         table    name -> value, besides PATH, HOME, LANG, LC_ALL, TMPDIR, TZ
 *   opts.inherit     bool     besides all of our environment instead  (default false)
 *   opts.cwd         string   the folder it starts in                   (default: ours)
 *   opts.limits      table    memory (bytes of addresses), cpu (seconds) and file_size
 *                             (bytes), of 0 or none: no limit; read and write (lists of
 *                             paths). With the table, however empty, it can do nothing but
 *                             compute and use these files (those to be written are there,
 *                             and are read, too), where the kernel has what that takes;
 *                             it ends when we do                      (default: none)
 *   opts.tail        tail     of process.tail(): hears what it writes     (default: none)
 *   result.status    int      its exit code; not 0 is no err. Of one that a signal ended
 *                             it is 128 and the signal, as a shell has it: never 0
 *   result.signal    int      what ended it instead, else nil
 *   result.stdout    string   all that it wrote
 *   result.stderr    string
 *   err              notfound: no such program; denied, io: it cannot be started;
 *                    timeout; exit: it writes too much; unsupported: the kernel cannot
 *                    confine it as process.require_confinement() says
 *
 * It is killed, with all processes of its group, when the task is cancelled, which is
 * settled when it is gone; and what it leaves behind in its group a second after it has ended. Messages name the program
 * and no arguments.
 */
static int l_process_run(lua_State *L)
{
    struct run_opts opts = { .max_output = MAX_OUTPUT };
    struct vic_child_opts child_opts = { 0 };
    struct vic_error err;
    struct vic_wait **box;
    struct run *run;

    read_opts(L, &opts);
    box = vic_wait_box(L);
    run = vic_alloc(sizeof(*run));
    *box = &run->wait;
    run->wait.cancel = run_cancel;
    run->wait.free = run_free;
    read_argv(L, run);
    read_env(L, run);
    read_tail(L, run);
    if (vic_process_launcher(L, run->argv[0], &run->launcher, &err) < 0)
        return vic_fail_error(L, &err);

    child_opts.argv = run->argv;
    child_opts.launcher = run->launcher;
    child_opts.env = run->env;
    child_opts.inherit = opts.inherit;
    child_opts.cwd = opts.cwd;
    child_opts.input = opts.input.data;
    child_opts.input_size = opts.input.size;
    child_opts.timeout = opts.timeout;
    child_opts.max_output = opts.max_output;
    child_opts.arg = run;
    child_opts.heard = run_heard;
    child_opts.done = run_done;
    vic_wait_what(&run->wait, "process %s", run->argv[0]);
    run->child = vic_child_start(uv_default_loop(), &child_opts);
    return vic_wait_for(L, box, run_result);
}

/*
 * process.tail() -> tail
 * What a program has written last, for a look while it runs: give it to process.run().
 */
static int l_process_tail(lua_State *L)
{
    struct tail **box = lua_newuserdatauv(L, sizeof(*box), 0);

    *box = NULL;
    luaL_setmetatable(L, TAIL_TYPE);
    *box = vic_alloc(sizeof(**box));
    (*box)->refs = 1;
    return 1;
}

/*
 * tail:text() -> string
 * The last bytes of its stdout, at most 256; "" while there are none. Never waits.
 */
static int l_tail_text(lua_State *L)
{
    const struct tail *tail = *(struct tail **)luaL_checkudata(L, 1, TAIL_TYPE);

    lua_pushlstring(L, tail->data, tail->size);
    return 1;
}

static int l_tail_gc(lua_State *L)
{
    struct tail **box = luaL_checkudata(L, 1, TAIL_TYPE);

    tail_unref(*box);
    *box = NULL;
    return 0;
}

static void register_tail(lua_State *L)
{
    luaL_newmetatable(L, TAIL_TYPE);
    lua_pushcfunction(L, l_tail_gc);
    lua_setfield(L, -2, "__gc");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_tail_text);
    lua_setfield(L, -2, "text");
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

int vic_open_process(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "run", l_process_run },
        { "tail", l_process_tail },
        { NULL, NULL },
    };

    register_tail(L);
    luaL_newlib(L, functions);
    vic_process_add_confinement(L);
    return 1;
}
