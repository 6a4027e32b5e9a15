/*
 * host.sandbox: a child process that runs site scripts (sandbox_child.h), seen from Lua.
 *
 * A child answers one call at a time. Whoever waits too long kills it; it is never used
 * again then. Its memory is freed when its handles are closed and Lua has let it go.
 */
#include "alloc.h"
#include "error.h"
#include "fail.h"
#include "host.h"
#include "log.h"
#include "sandbox_child.h"
#include "text.h"
#include "wait.h"

#include <lauxlib.h>
#include <uv.h>

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SANDBOX_TYPE "vic.sandbox"
#define PIECE        (64 * 1024)
#define SIZE         sizeof(uint32_t)

struct call {
    struct vic_wait wait; /* first, so that a vic_wait * is a call * */
    struct sandbox *sandbox;
    bool failed;
    struct vic_error error;
    char *answer;
    size_t size;
};

struct sandbox {
    uv_process_t process;
    uv_pipe_t in, out;
    uv_timer_t timer;
    uv_write_t write;
    unsigned handles; /* open */
    bool usable;      /* started, sound, and not told to end */
    bool released;    /* by Lua */
    bool ended;       /* the process */
    bool greeted;     /* its first frame has come */
    bool writing;
    char *request; /* being written */
    double deadline;
    struct call *call; /* waits for an answer, or NULL */
    struct vic_text input;
    char piece[PIECE];
};

static void sandbox_free(struct sandbox *s)
{
    vic_text_fini(&s->input);
    free(s->request);
    free(s);
}

static void on_closed(uv_handle_t *handle)
{
    struct sandbox *s = handle->data;

    if (--s->handles == 0 && s->released)
        sandbox_free(s);
}

static void handle_close(void *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

/* The pipes go when the process has been waited for, so that no zombie is left. */
static void sandbox_kill(struct sandbox *s)
{
    s->usable = false;
    if (!s->ended)
        uv_process_kill(&s->process, SIGKILL);
}

static void call_done(struct sandbox *s)
{
    struct call *call = s->call;

    s->call = NULL;
    call->sandbox = NULL;
    uv_timer_stop(&s->timer);
    vic_wait_done(&call->wait);
}

static void call_fail(struct sandbox *s, const struct vic_error *err)
{
    sandbox_kill(s);
    if (!s->call)
        return;
    s->call->failed = true;
    s->call->error = *err;
    call_done(s);
}

static void on_deadline(uv_timer_t *timer)
{
    struct sandbox *s = timer->data;
    struct vic_error err;

    vic_error_set(&err, VIC_TIMEOUT, "it has not ended within %g s", s->deadline);
    call_fail(s, &err);
}

static void on_ended(uv_process_t *process, int64_t status, int signal)
{
    struct sandbox *s = process->data;
    struct vic_error err;

    s->ended = true;
    if (signal)
        vic_error_set(&err, VIC_EXIT, "its process was ended by signal %d", signal);
    else
        vic_error_set(&err, VIC_EXIT, "its process has ended, exit code %d", (int)status);
    call_fail(s, &err);
    handle_close(process);
    handle_close(&s->in);
    handle_close(&s->out);
    handle_close(&s->timer);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct sandbox *s = handle->data;

    (void)size;
    *buf = uv_buf_init(s->piece, sizeof(s->piece));
}

/* What the child says of itself first. */
static void greeting_take(struct sandbox *s, const char *data, size_t size)
{
    static bool told;

    s->greeted = true;
    if (told || memmem(data, size, "true", 4))
        return;
    told = true;
    vic_log(VIC_LOG_WARN, "the kernel offers no seccomp: site scripts are confined by "
                          "Lua and resource limits alone");
}

/* One whole frame, without its length. */
static void frame_take(struct sandbox *s, const char *data, size_t size)
{
    struct vic_error err;

    if (!s->greeted) {
        greeting_take(s, data, size);
    } else if (s->call) {
        s->call->answer = vic_alloc(size + 1);
        s->call->size = size;
        memcpy(s->call->answer, data, size);
        call_done(s);
    } else {
        vic_error_set(&err, VIC_FORMAT, "an answer that nobody asked for");
        call_fail(s, &err);
    }
}

static void frames_take(struct sandbox *s)
{
    struct vic_error err;
    uint32_t size;

    while (s->usable && s->input.size >= SIZE) {
        memcpy(&size, s->input.data, SIZE);
        if (size > 2 * VIC_SANDBOX_FRAME) {
            vic_error_set(&err, VIC_FORMAT, "an answer of %u bytes", size);
            call_fail(s, &err);
            return;
        }
        if (s->input.size < SIZE + size)
            return;
        frame_take(s, s->input.data + SIZE, size);
        s->input.size -= SIZE + size;
        memmove(s->input.data, s->input.data + SIZE + size, s->input.size);
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct sandbox *s = stream->data;

    if (n < 0)
        sandbox_kill(s);
    if (n <= 0 || !s->usable)
        return;
    vic_text_add(&s->input, buf->base, (size_t)n);
    frames_take(s);
}

/* A failure to write shows as the end of the process. */
static void on_written(uv_write_t *write, int status)
{
    struct sandbox *s = write->data;

    s->writing = false;
    if (status < 0)
        sandbox_kill(s);
}

static void handles_init(struct sandbox *s)
{
    uv_loop_t *loop = uv_default_loop();

    uv_pipe_init(loop, &s->in, 0);
    uv_pipe_init(loop, &s->out, 0);
    uv_timer_init(loop, &s->timer);
    s->process.data = s->in.data = s->out.data = s->timer.data = s->write.data = s;
    s->handles = 4;
}

static int sandbox_spawn(struct sandbox *s)
{
    static char *argv[] = { "vm-import-controller", "--sandbox", NULL };
    static char *env[] = { NULL };
    uv_stdio_container_t stdio[3] = {
        { .flags = UV_CREATE_PIPE | UV_READABLE_PIPE,
          .data.stream = (uv_stream_t *)&s->in },
        { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
          .data.stream = (uv_stream_t *)&s->out },
        { .flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO },
    };
    uv_process_options_t options = {
        .exit_cb = on_ended,
        .file = "/proc/self/exe",
        .args = argv,
        .env = env,
        .cwd = "/",
        .flags = UV_PROCESS_DETACHED, /* setsid(): not for a terminal's Ctrl-C */
        .stdio_count = 3,
        .stdio = stdio,
    };

    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    return uv_spawn(uv_default_loop(), &s->process, &options);
}

static struct sandbox *check_sandbox(lua_State *L)
{
    struct sandbox **box = luaL_checkudata(L, 1, SANDBOX_TYPE);

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
    struct sandbox **box = lua_newuserdatauv(L, sizeof(*box), 0);
    struct vic_error err;
    struct sandbox *s;
    int problem;

    *box = NULL;
    luaL_setmetatable(L, SANDBOX_TYPE);
    s = *box = vic_alloc(sizeof(*s));
    handles_init(s);
    problem = sandbox_spawn(s);
    if (problem < 0) {
        s->ended = true;
        handle_close(&s->process);
        handle_close(&s->in);
        handle_close(&s->out);
        handle_close(&s->timer);
        vic_error_errno(&err, -problem, "the sandbox cannot be started");
        return vic_fail_error(L, &err);
    }
    s->usable = true;
    uv_read_start((uv_stream_t *)&s->out, on_alloc, on_read);
    return 1;
}

static void call_cancel(struct vic_wait *wait)
{
    struct call *call = (struct call *)wait;

    sandbox_kill(call->sandbox);
    call_done(call->sandbox);
}

static void call_free(struct vic_wait *wait)
{
    struct call *call = (struct call *)wait;

    free(call->answer);
    free(call);
}

static int call_result(lua_State *L, int status, lua_KContext ctx)
{
    const struct call *call = (const struct call *)ctx;

    (void)status;
    if (call->failed)
        return vic_fail_error(L, &call->error);
    lua_pushlstring(L, call->answer, call->size);
    return 1;
}

static int call_start(struct sandbox *s, const char *request, size_t size)
{
    uint32_t length = (uint32_t)size;
    uv_buf_t buf;

    free(s->request);
    s->request = vic_alloc(SIZE + size);
    memcpy(s->request, &length, SIZE);
    memcpy(s->request + SIZE, request, size);
    buf = uv_buf_init(s->request, (unsigned)(SIZE + size));
    return uv_write(&s->write, (uv_stream_t *)&s->in, &buf, 1, on_written);
}

/*
 * child:call(request, deadline) -> answer | nil, err                          [waits]
 * One at a time; the texts are JSON (sandbox_child.h).
 *
 *   request   string   at most 1 MiB
 *   deadline  seconds  then the child is killed
 *   err       timeout: the deadline has passed; exit: its process has ended; format: not
 *             an answer; invalid: the request is too long. After any but the last
 *             the child is of no more use.
 */
static int l_child_call(lua_State *L)
{
    struct sandbox *s = check_sandbox(L);
    size_t size;
    const char *request = luaL_checklstring(L, 2, &size);
    double deadline = luaL_checknumber(L, 3);
    struct vic_wait **box;
    struct call *call;

    luaL_argcheck(L, deadline > 0 && deadline < 1e6, 3, "not a deadline");
    luaL_argcheck(L, !s->call, 1, "it is in a call");
    if (size > VIC_SANDBOX_FRAME)
        return vic_fail(L, "invalid", "a request of %d KiB; 1 MiB is allowed",
                        (int)(size / 1024));
    if (!s->usable || s->writing)
        return vic_fail(L, "exit", "its process has ended");
    box = vic_wait_box(L);
    call = vic_alloc(sizeof(*call));
    *box = &call->wait;
    call->wait.cancel = call_cancel;
    call->wait.free = call_free;
    if (call_start(s, request, size) < 0) {
        sandbox_kill(s);
        return vic_fail(L, "exit", "its process has ended");
    }
    s->writing = true;
    s->deadline = deadline;
    s->call = call;
    call->sandbox = s;
    uv_update_time(uv_default_loop());
    uv_timer_start(&s->timer, on_deadline, (uint64_t)(deadline * 1000), 0);
    return vic_wait_for(L, box, call_result);
}

/*
 * child:usable() -> boolean
 * Whether it can take a call.
 */
static int l_child_usable(lua_State *L)
{
    lua_pushboolean(L, check_sandbox(L)->usable);
    return 1;
}

/*
 * child:pid() -> integer
 */
static int l_child_pid(lua_State *L)
{
    lua_pushinteger(L, check_sandbox(L)->process.pid);
    return 1;
}

/* child:close(), __close and __gc: it is killed. */
static int l_child_close(lua_State *L)
{
    struct sandbox **box = luaL_checkudata(L, 1, SANDBOX_TYPE);
    struct sandbox *s = *box;

    *box = NULL;
    if (!s)
        return 0;
    s->released = true;
    sandbox_kill(s);
    if (s->handles == 0)
        sandbox_free(s);
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
