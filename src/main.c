/*
 * main: the loop, the signals, one Lua state, lua/main.lua as the first task.
 *
 * The first SIGTERM or SIGINT cancels all tasks and waits for their goodbyes
 * (leases aborted, sessions logged out), at most GRACE seconds; the second one
 * ends the process at once. A command that has called task.on_stop() is told instead.
 * SIGUSR1 writes to the log what every task is doing.
 */
#include "confine.h"
#include "env.h"
#include "error.h"
#include "host.h"
#include "powers.h"
#include "sandbox_child.h"
#include "task.h"
#include "task_list.h"
#include "text.h"
#include "task_sync.h"

#include <curl/curl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <uv.h>

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GRACE 25 /* seconds; below Kubernetes' default of 30 */

struct program {
    lua_State *L;
    uv_signal_t term, intr, usr1;
    uv_timer_t grace;
    int signal; /* the first one caught, or 0 */
    bool expired;
};

static void on_grace(uv_timer_t *timer)
{
    ((struct program *)timer->data)->expired = true;
}

static void grace_start(struct program *p)
{
    if (uv_is_active((uv_handle_t *)&p->grace))
        return;
    uv_update_time(uv_default_loop());
    uv_timer_start(&p->grace, on_grace, GRACE * 1000, 0);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct program *p = handle->data;

    if (p->signal)
        _exit(128 + number);
    p->signal = number;
    grace_start(p);
    if (!vic_task_stop())
        vic_task_cancel_all();
}

static void on_question(uv_signal_t *handle, int number)
{
    (void)handle;
    (void)number;
    vic_task_list_log();
}

static void signals_start(struct program *p)
{
    uv_loop_t *loop = uv_default_loop();

    signal(SIGPIPE, SIG_IGN);
    uv_timer_init(loop, &p->grace);
    uv_signal_init(loop, &p->term);
    uv_signal_init(loop, &p->intr);
    uv_signal_init(loop, &p->usr1);
    p->grace.data = p->term.data = p->intr.data = p;
    uv_signal_start(&p->term, on_signal, SIGTERM);
    uv_signal_start(&p->intr, on_signal, SIGINT);
    uv_signal_start(&p->usr1, on_question, SIGUSR1);
}

static void signals_stop(struct program *p)
{
    uv_close((uv_handle_t *)&p->grace, NULL);
    uv_close((uv_handle_t *)&p->term, NULL);
    uv_close((uv_handle_t *)&p->intr, NULL);
    uv_close((uv_handle_t *)&p->usr1, NULL);
}

/* The folder of our Lua files: beside the installed program, or in the source tree. */
static void find_lua(char *dir, size_t size)
{
    char exe[PATH_MAX], main_lua[PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    char *slash;

    exe[n > 0 ? n : 0] = '\0';
    slash = strrchr(exe, '/');
    if (slash)
        *slash = '\0';
    snprintf(main_lua, sizeof(main_lua), "%s/" VIC_LUA_FROM_PROGRAM "/main.lua", exe);
    if (access(main_lua, R_OK) == 0)
        snprintf(dir, size, "%.*s", (int)(strlen(main_lua) - strlen("/main.lua")),
                 main_lua);
    else
        snprintf(dir, size, "%s", VIC_LUA_SOURCE);
}

/* require finds our files and no others; what it would have searched is kept for
 * `script`, as package.default_path and package.default_cpath. */
static void set_paths(lua_State *L, const char *dir)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "path");
    lua_setfield(L, -2, "default_path");
    lua_getfield(L, -1, "cpath");
    lua_setfield(L, -2, "default_cpath");
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua", dir, dir);
    lua_setfield(L, -2, "path");
    lua_pushliteral(L, "");
    lua_setfield(L, -2, "cpath");
    lua_pop(L, 1);
}

static lua_State *state_new(const char *dir)
{
    lua_State *L = luaL_newstate();

    luaL_openlibs(L);
    vic_task_init(L);
    vic_host_register(L);
    set_paths(L, dir);
    return L;
}

/* To stderr, in our name. What is said may be another's. */
static void say(const char *text)
{
    struct vic_text lines = { 0 };

    vic_text_lines(&lines, text, strlen(text));
    fprintf(stderr, "vm-import-controller: %.*s\n", (int)lines.size, lines.data);
    vic_text_fini(&lines);
}

/* The first task: lua/main.lua, called with the arguments. NULL: it does not load. */
static struct vic_task *main_task(lua_State *L, const char *dir, int argc, char **argv)
{
    char path[PATH_MAX + 16];
    int i;

    snprintf(path, sizeof(path), "%s/main.lua", dir);
    if (luaL_loadfile(L, path) != LUA_OK) {
        say(lua_tostring(L, -1));
        return NULL;
    }
    luaL_checkstack(L, argc, "too many arguments");
    for (i = 1; i < argc; i++)
        lua_pushstring(L, argv[i]);
    return vic_task_spawn(L, "main", argc - 1);
}

/* The exit code, from what the first task returned. */
static int exit_code(struct program *p, struct vic_task *task)
{
    int n;

    if (vic_task_settled(task) && vic_task_results(task, p->L, &n))
        return n > 0 && lua_isinteger(p->L, -n) ? (int)lua_tointeger(p->L, -n) : 0;
    if (p->signal)
        return 128 + p->signal;
    if (vic_task_settled(task)) {
        say(luaL_tolstring(p->L, -1, NULL));
        if (lua_getfield(p->L, -2, "traceback") == LUA_TSTRING)
            say(lua_tostring(p->L, -1));
    }
    return 1;
}

/* Until the first task has ended, then until all others have said goodbye. */
static int program_run(struct program *p, struct vic_task *task)
{
    uv_loop_t *loop = uv_default_loop();
    int code;

    while (!vic_task_settled(task) && !p->expired)
        uv_run(loop, UV_RUN_ONCE);
    code = exit_code(p, task);
    vic_task_unref(task);
    vic_task_cancel_all();
    grace_start(p);
    while (!vic_task_none() && !p->expired)
        uv_run(loop, UV_RUN_ONCE);
    return code;
}

int main(int argc, char **argv)
{
    struct program p = { 0 };
    char dir[PATH_MAX];
    struct vic_task *task;
    int code = 1;

    if (argc == 2 && strcmp(argv[1], "--sandbox") == 0)
        return vic_sandbox_child();
    if (vic_confine_asked(argc, argv))
        return vic_confine_run(argc, argv);
    vic_powers_hide();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    vic_env_args(argc, argv);
    signals_start(&p);
    find_lua(dir, sizeof(dir));
    p.L = state_new(dir);
    task = main_task(p.L, dir, argc, argv);
    if (task)
        code = program_run(&p, task);
    fflush(stdout);
    if (p.expired) /* something does not end; do not wait for it again */
        _exit(code ? code : 1);
    vic_task_fini();
    signals_stop(&p);
    lua_close(p.L);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    uv_loop_close(uv_default_loop());
    curl_global_cleanup();
    return code;
}
