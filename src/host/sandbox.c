/*
 * host.sandbox: a process for site scripts (sandbox_process.h), seen from Lua.
 */
#include "alloc.h"
#include "error.h"
#include "fail.h"
#include "host.h"
#include "sandbox_child.h"
#include "sandbox_process.h"
#include "wait.h"

#include <lauxlib.h>

#include <stdlib.h>
#include <string.h>

#define SANDBOX_TYPE "vic.sandbox"

struct call {
    struct vic_wait wait; /* first, so that a vic_wait * is a call * */
    struct vic_sandbox *sandbox;
    bool failed;
    struct vic_error error;
    char *answer;
    size_t size;
};

static struct vic_sandbox *check_sandbox(lua_State *L)
{
    struct vic_sandbox **box = luaL_checkudata(L, 1, SANDBOX_TYPE);

    luaL_argcheck(L, *box, 1, "the sandbox is closed");
    return *box;
}

/*
 * sandbox.start() -> child, to be closed | nil, err
 * A process for site scripts; it is not waited for.
 *
 *   err  io, denied: it cannot be started
 */
static int l_sandbox_start(lua_State *L)
{
    struct vic_sandbox **box = lua_newuserdatauv(L, sizeof(*box), 0);
    struct vic_error err;

    *box = NULL;
    luaL_setmetatable(L, SANDBOX_TYPE);
    *box = vic_sandbox_start(&err);
    return *box ? 1 : vic_fail_error(L, &err);
}

static void call_answered(void *arg, const char *data, size_t size,
                          const struct vic_error *err)
{
    struct call *call = arg;

    call->sandbox = NULL;
    if (err) {
        call->failed = true;
        call->error = *err;
    } else {
        call->answer = vic_alloc(size + 1);
        call->size = size;
        memcpy(call->answer, data, size);
    }
    vic_wait_done(&call->wait);
}

static void sandbox_call_cancel(struct vic_wait *wait)
{
    struct call *call = (struct call *)wait;

    vic_sandbox_forget(call->sandbox);
    vic_wait_done(&call->wait);
}

static void sandbox_call_free(struct vic_wait *wait)
{
    struct call *call = (struct call *)wait;

    free(call->answer);
    free(call);
}

static int sandbox_call_result(lua_State *L, int status, lua_KContext ctx)
{
    const struct call *call = (const struct call *)ctx;

    (void)status;
    if (call->failed)
        return vic_fail_error(L, &call->error);
    lua_pushlstring(L, call->answer, call->size);
    return 1;
}

/*
 * child:call(request, deadline) -> answer | nil, err                          [waits]
 * One at a time; the texts are JSON (sandbox_child.h).
 *
 *   request   string   at most 1 MiB
 *   deadline  seconds of a processor; then the child is killed
 *   err       timeout: the deadline has passed; busy: the machine let it not run; exit: its
 *             process has ended; format: not an answer; invalid: the request is too long.
 *             After any but the last the child is of no more use.
 */
static int l_child_call(lua_State *L)
{
    struct vic_sandbox *s = check_sandbox(L);
    size_t size;
    const char *request = luaL_checklstring(L, 2, &size);
    double deadline = luaL_checknumber(L, 3);
    struct vic_wait **box;
    struct call *call;

    luaL_argcheck(L, deadline > 0 && deadline < 1e6, 3, "not a deadline");
    luaL_argcheck(L, !vic_sandbox_asked(s), 1, "it is in a call");
    if (size > VIC_SANDBOX_FRAME)
        return vic_fail(L, "invalid", "a request of %d KiB; 1 MiB is allowed",
                        (int)(size / 1024));
    box = vic_wait_box(L);
    call = vic_alloc(sizeof(*call));
    *box = &call->wait;
    call->wait.cancel = sandbox_call_cancel;
    call->wait.free = sandbox_call_free;
    call->sandbox = s;
    vic_wait_what(&call->wait, "site script");
    if (vic_sandbox_ask(s, request, size, deadline, call_answered, call))
        return vic_fail(L, "exit", "its process has ended");
    return vic_wait_for(L, box, sandbox_call_result);
}

/*
 * child:usable() -> boolean
 * Whether it can take a call.
 */
static int l_child_usable(lua_State *L)
{
    lua_pushboolean(L, vic_sandbox_usable(check_sandbox(L)));
    return 1;
}

/*
 * child:pid() -> integer
 */
static int l_child_pid(lua_State *L)
{
    lua_pushinteger(L, vic_sandbox_pid(check_sandbox(L)));
    return 1;
}

/* child:close(), __close and __gc: it is killed. */
static int l_child_close(lua_State *L)
{
    struct vic_sandbox **box = luaL_checkudata(L, 1, SANDBOX_TYPE);
    struct vic_sandbox *s = *box;

    *box = NULL;
    if (s)
        vic_sandbox_release(s);
    return 0;
}

int vic_open_sandbox(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "call", l_child_call }, { "close", l_child_close },
        { "pid", l_child_pid },   { "usable", l_child_usable },
        { NULL, NULL },
    };
    static const luaL_Reg functions[] = {
        { "start", l_sandbox_start },
        { NULL, NULL },
    };

    luaL_newmetatable(L, SANDBOX_TYPE);
    lua_pushcfunction(L, l_child_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, l_child_close);
    lua_setfield(L, -2, "__close");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
