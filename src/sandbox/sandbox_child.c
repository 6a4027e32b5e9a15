/*
 * sandbox_child: see sandbox_child.h. Every call gets a new Lua state and its script is
 * compiled again: a few lines cost microseconds, and nothing can be shared.
 */
#include "sandbox_child.h"

#include "alloc.h"
#include "error.h"
#include "globals.h"
#include "json_read.h"
#include "json_write.h"
#include "sandbox_limits.h"
#include "sandbox_state.h"
#include "text.h"

#include <lauxlib.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MIB           ((size_t)1024 * 1024)
#define SCRIPT_MEMORY (32 * MIB) /* of one Lua state */
#define EXTRA_MEMORY  (4 * MIB)  /* for saying that it was used up */
#define ADDRESSES     (80 * MIB) /* of the process, besides what it starts with */
#define GLOBALS_MOST  100
#define HOOK_EVERY    10000 /* instructions of Lua */
#define SOFT          0.8   /* of the deadline: the rest is for the answer */

struct call {
    const char *request;
    size_t size;
    struct vic_text result; /* JSON members, joined by commas */
    struct vic_text value;
    struct vic_text log_lines;
    struct vic_sandbox_log log;
    unsigned globals;
};

static double hook_deadline; /* by sandbox_child_processor_time() */

/* Seconds of a processor that this process has had. */
static double sandbox_child_processor_time(void)
{
    struct timespec at;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void result_key(struct call *call, const char *key)
{
    if (call->result.size > 0)
        vic_text_char(&call->result, ',');
    vic_text_char(&call->result, '"');
    vic_text_puts(&call->result, key);
    vic_text_puts(&call->result, "\":");
}

/* Adds an access to a global that there is not, or that is written. */
static void sandbox_child_on_global(void *arg, const char *name, int line, bool written)
{
    struct call *call = arg;
    struct vic_text *out = &call->value;

    if ((!written && vic_sandbox_knows(name)) || call->globals == GLOBALS_MOST)
        return;
    vic_text_puts(out, call->globals++ ? ",{\"name\":" : "{\"name\":");
    vic_text_json(out, name, strlen(name), 100);
    vic_text_puts(out, ",\"line\":");
    vic_text_number(out, line);
    vic_text_puts(out, written ? ",\"written\":true}" : ",\"written\":false}");
}

/* The script's table of hooks, at the top. */
static void run_chunk(lua_State *L, struct call *call)
{
    char chunk[300];
    size_t size;
    const char *text;

    lua_getfield(L, 1, "script");
    lua_getfield(L, 1, "text");
    text = luaL_checklstring(L, -1, &size);
    strcpy(chunk, "@");
    strncat(chunk, luaL_checkstring(L, -2), sizeof(chunk) - 2);
    if (luaL_loadbufferx(L, text, size, chunk, "t") != LUA_OK)
        lua_error(L);
    if (lua_getfield(L, 1, "hook") == LUA_TNIL) {
        lua_pushvalue(L, -2);
        vic_globals(L, sandbox_child_on_global, call);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    lua_call(L, 0, 1);
    if (!lua_istable(L, -1))
        luaL_error(L, "%s: must return a table of hooks, not a %s", chunk + 1,
                   luaL_typename(L, -1));
}

/* [..., name, function]: one entry of the list. */
static void list_hook(lua_State *L, struct call *call, bool comma)
{
    lua_Debug at;
    size_t len;
    const char *name = lua_tolstring(L, -2, &len);

    vic_text_puts(&call->result, comma ? ",{\"name\":" : "{\"name\":");
    vic_text_json(&call->result, name, len, 100);
    lua_pushvalue(L, -1);
    lua_getinfo(L, ">S", &at);
    vic_text_puts(&call->result, ",\"line\":");
    vic_text_number(&call->result, at.linedefined);
    vic_text_char(&call->result, '}');
}

/* Of a table of hooks on top: ["name", ...]. */
static void list_hooks(lua_State *L, struct call *call)
{
    unsigned count = 0;

    result_key(call, "globals");
    vic_text_char(&call->result, '[');
    vic_text_add(&call->result, call->value.data, call->value.size);
    call->value.size = 0;
    vic_text_char(&call->result, ']');
    result_key(call, "hooks");
    vic_text_char(&call->result, '[');
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || !lua_isfunction(L, -1))
            luaL_error(L, "a table of hook = function is expected, not %s = %s",
                       lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "[...]",
                       luaL_typename(L, -1));
        list_hook(L, call, count++ > 0);
    }
    vic_text_char(&call->result, ']');
}

/* Calls the hook and encodes what it returns. The table of hooks is on top. */
static void call_hook(lua_State *L, struct call *call)
{
    lua_getfield(L, 1, "hook");
    if (lua_rawget(L, -2) != LUA_TFUNCTION)
        luaL_error(L, "there is no such hook in it");
    lua_getfield(L, 1, "input");
    lua_getfield(L, 1, "builtin");
    lua_call(L, 2, 1);
    if (lua_isnil(L, -1))
        return;
    vic_json_write(L, -1, false, &call->value);
    if (call->value.size > VIC_SANDBOX_FRAME / 2)
        luaL_error(L, "it returns %d KiB; %d KiB are allowed",
                   (int)(call->value.size / 1024), VIC_SANDBOX_FRAME / 2 / 1024);
    result_key(call, "value");
    vic_text_add(&call->result, call->value.data, call->value.size);
}

/* [call]: the request; a function of its own, which closes what reading leaves. */
static int l_request(lua_State *L)
{
    const struct call *call = lua_touserdata(L, 1);
    const struct vic_json_limits limits = { .memory =
                                                SIZE_MAX }; /* the state has its own */
    struct vic_error err;

    if (vic_json_read(L, call->request, call->size, &limits, &err) != 0)
        return luaL_error(L, "the request: %s", err.message);
    return 1;
}

/* A loop in Lua is told where it was; one in C ends with the process. */
static void on_count(lua_State *L, lua_Debug *at)
{
    (void)at;
    if (sandbox_child_processor_time() > hook_deadline)
        luaL_error(L, "has not ended in time");
}

static void set_deadline(lua_State *L)
{
    lua_getfield(L, 1, "deadline");
    hook_deadline = sandbox_child_processor_time() + SOFT * luaL_checknumber(L, -1);
    lua_pop(L, 1);
    lua_sethook(L, on_count, LUA_MASKCOUNT, HOOK_EVERY);
}

/* [call]: all of it, protected. */
static int l_call(lua_State *L)
{
    struct call *call = lua_touserdata(L, 1);
    bool has_hook;

    vic_sandbox_open(L, &call->log);
    lua_pushcfunction(L, l_request);
    lua_insert(L, 1);
    lua_call(L, 1, 1); /* [request] */
    set_deadline(L);
    has_hook = lua_getfield(L, 1, "hook") != LUA_TNIL;
    lua_settop(L, 1);
    run_chunk(L, call);
    if (has_hook)
        call_hook(L, call);
    else
        list_hooks(L, call);
    return 0;
}

/* Where the script was: "name:line: ", or nothing. */
static void push_where(lua_State *L)
{
    lua_Debug at;
    int level;

    for (level = 1; lua_getstack(L, level, &at); level++) {
        lua_getinfo(L, "Sl", &at);
        if (at.currentline > 0) {
            lua_pushfstring(L, "%s:%d: ", at.short_src, at.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

/* [problem]: its text with the place in front. Runs nothing of the script's. */
static int l_explain(lua_State *L)
{
    const char *where, *message;

    push_where(L);
    where = lua_tostring(L, -1);
    if (lua_istable(L, 1)) {
        lua_pushliteral(L, "message");
        lua_rawget(L, 1);
    } else {
        lua_pushvalue(L, 1);
    }
    message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    if (!message)
        lua_pushfstring(L, "%san error that is a %s", where, luaL_typename(L, 1));
    else if (strncmp(message, where, strlen(where)) != 0)
        lua_pushfstring(L, "%s%s", where, message);
    return 1;
}

static void result_error(struct call *call, lua_State *L, int status)
{
    size_t len = 0;
    const char *text = status == LUA_ERRMEM ? NULL : lua_tolstring(L, -1, &len);

    call->result.size = 0;
    result_key(call, "error");
    if (status == LUA_ERRMEM)
        vic_text_puts(&call->result, "\"more than 32 MiB of memory are needed\"");
    else if (text)
        vic_text_json(&call->result, text, len, 900);
    else
        vic_text_puts(&call->result, "\"an error without a message\"");
}

static void call_run(struct call *call)
{
    struct vic_budget budget = { .most = SCRIPT_MEMORY };
    lua_State *L = vic_sandbox_state(&budget);
    int status;

    if (!L)
        _exit(1);
    call->log.lines = &call->log_lines;
    lua_pushcfunction(L, l_explain);
    lua_pushcfunction(L, l_call);
    lua_pushlightuserdata(L, call);
    status = lua_pcall(L, 1, 0, 1);
    budget.most = SCRIPT_MEMORY + EXTRA_MEMORY;
    if (status != LUA_OK)
        result_error(call, L, status);
    lua_close(L);
}

static bool sandbox_child_read_all(void *data, size_t size)
{
    char *at = data;

    while (size > 0) {
        ssize_t n = read(STDIN_FILENO, at, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

static bool sandbox_child_write_all(const void *data, size_t size)
{
    const char *at = data;

    while (size > 0) {
        ssize_t n = write(STDOUT_FILENO, at, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

static bool frame_write(const struct vic_text *members, const struct vic_text *log)
{
    struct vic_text frame = { 0 };
    uint32_t size;
    bool sound;

    vic_text_add(&frame, "\0\0\0\0{", 5);
    vic_text_add(&frame, members->data, members->size);
    if (log && log->size > 0) {
        vic_text_puts(&frame, members->size ? ",\"log\":[" : "\"log\":[");
        vic_text_add(&frame, log->data, log->size);
        vic_text_char(&frame, ']');
    }
    vic_text_char(&frame, '}');
    size = (uint32_t)frame.size - 4;
    memcpy(frame.data, &size, sizeof(size)); /* little endian on all we run on */
    sound = sandbox_child_write_all(frame.data, frame.size);
    vic_text_fini(&frame);
    return sound;
}

/* One request and its answer. */
static bool serve_one(void)
{
    struct call call = { 0 };
    uint32_t size;
    char *request;
    bool sound = false;

    if (!sandbox_child_read_all(&size, sizeof(size)) || size > VIC_SANDBOX_FRAME)
        return false;
    request = vic_alloc(size);
    if (sandbox_child_read_all(request, size)) {
        call.request = request;
        call.size = size;
        call_run(&call);
        sound = frame_write(&call.result, &call.log_lines);
    }
    vic_text_fini(&call.result);
    vic_text_fini(&call.value);
    vic_text_fini(&call.log_lines);
    free(request);
    return sound;
}

int vic_sandbox_child(void)
{
    struct vic_text hello = { 0 };

    vic_text_puts(&hello, vic_sandbox_limit(ADDRESSES) ? "\"confined\":true"
                                                       : "\"confined\":false");
    if (!frame_write(&hello, NULL))
        return 1;
    vic_text_fini(&hello);
    while (serve_one())
        continue;
    return 0;
}
