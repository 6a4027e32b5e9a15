/*
 * metrics_server: the server that shows how the process is. The loop tells it that it runs.
 */
#include "metrics_server.h"

#include "alloc.h"
#include "error.h"
#include "fail.h"
#include "listen.h"
#include "options.h"
#include "statusserver.h"
#include "task_list.h"
#include "text.h"

#include <lauxlib.h>
#include <stddef.h>
#include <stdlib.h>
#include <uv.h>

#define SERVER_TYPE "metrics.server"

#define STALL           30.0 /* seconds */
#define TICKS_PER_STALL 6    /* how often the loop says that it runs */

/* A started server; freed when its handles are closed. */
struct server {
    uv_timer_t timer;
    uv_async_t asked; /* for the list of tasks */
    unsigned handles;
    struct vic_statusserver *status;
};

/* Pushes a server that is not started yet. */
static struct server **metrics_server_push(lua_State *L)
{
    struct server **box = lua_newuserdatauv(L, sizeof(*box), 0);

    *box = NULL;
    luaL_setmetatable(L, SERVER_TYPE);
    return box;
}

static struct server *metrics_server_check(lua_State *L)
{
    struct server **box = luaL_checkudata(L, 1, SERVER_TYPE);

    luaL_argcheck(L, *box, 1, "the server is closed");
    return *box;
}

static void on_tick(uv_timer_t *timer)
{
    vic_statusserver_tick(((struct server *)timer->data)->status);
}

/* Somebody has asked for the list of tasks. */
static void on_asked(uv_async_t *asked)
{
    struct server *server = asked->data;
    struct vic_text text = { 0 };

    vic_task_list_text(&text);
    vic_statusserver_tasks(server->status, text.data, text.size);
    vic_text_fini(&text);
}

/* On the server's thread. */
static void ask_loop(void *arg)
{
    uv_async_send(&((struct server *)arg)->asked);
}

static void metrics_server_on_closed(uv_handle_t *handle)
{
    struct server *server = handle->data;

    if (--server->handles == 0)
        free(server);
}

/* Its handles; the loop need not run for them. */
static struct server *server_new(void)
{
    struct server *server = vic_alloc(sizeof(*server));

    uv_timer_init(uv_default_loop(), &server->timer);
    uv_async_init(uv_default_loop(), &server->asked, on_asked);
    server->handles = 2;
    server->timer.data = server->asked.data = server;
    uv_unref((uv_handle_t *)&server->timer);
    uv_unref((uv_handle_t *)&server->asked);
    return server;
}

static void server_free(struct server *server)
{
    uv_close((uv_handle_t *)&server->timer, metrics_server_on_closed);
    uv_close((uv_handle_t *)&server->asked, metrics_server_on_closed);
}

/* The loop says that it runs. */
static void start_ticking(struct server *server, double stall)
{
    uint64_t every = (uint64_t)((stall > 0 ? stall : STALL) * 1000 / TICKS_PER_STALL);

    uv_timer_start(&server->timer, on_tick, every, every > 0 ? every : 1);
}

/*
 * metrics.serve(opts?) -> server, to be closed | nil, err
 * GET /metrics; /healthz: 200 while the event loop runs; /readyz: 200 once server:ready
 * says so. A thread of its own answers: nothing that happens in Lua delays it. With
 * debug_tasks also /debug/tasks: what task.list() has, as text; that waits for the loop.
 *
 *   opts.host   string   numeric address                      (default: all addresses)
 *   opts.port   integer  0: any free one                                   (default 0)
 *   opts.stall  seconds  the loop may stand still before /healthz is 503  (default 30)
 *   opts.debug_tasks  boolean  (default false)
 *   err         invalid: no address; io, denied: it cannot listen there
 */
int vic_l_metrics_serve(lua_State *L)
{
    static const struct vic_option LIST[] = {
        { "host", VIC_OPTION_STRING, offsetof(struct vic_statusserver_opts, host) },
        { "port", VIC_OPTION_PORT, offsetof(struct vic_statusserver_opts, port) },
        { "stall", VIC_OPTION_SECONDS, offsetof(struct vic_statusserver_opts, stall) },
        { "debug_tasks", VIC_OPTION_OTHER, 0 },
        { NULL, VIC_OPTION_OTHER, 0 },
    };
    struct vic_statusserver_opts opts = { .stall = STALL };
    struct server **box;
    struct server *server;
    struct vic_error err;

    vic_options_read(L, 1, LIST, &opts);
    if (lua_istable(L, 1) && lua_getfield(L, 1, "debug_tasks") && lua_toboolean(L, -1))
        opts.ask_tasks = ask_loop;
    box = metrics_server_push(L);
    opts.arg = server = server_new();
    server->status = vic_statusserver_start(&opts, &err);
    if (!server->status) {
        server_free(server);
        return vic_fail_error(L, &err);
    }
    start_ticking(server, opts.stall);
    *box = server;
    return 1;
}

/*
 * server:ready(ready, reason?)
 * What /readyz says from now on; before the first call it is not ready, "starting".
 *
 *   ready   boolean
 *   reason  string   why it is not                               (default "not ready")
 */
static int l_metrics_server_ready(lua_State *L)
{
    struct server *server = metrics_server_check(L);

    vic_statusserver_ready(server->status, lua_toboolean(L, 2),
                           luaL_optstring(L, 3, "not ready"));
    return 0;
}

/*
 * server:port() -> integer
 */
static int l_metrics_server_port(lua_State *L)
{
    lua_pushinteger(
        L, vic_listen_port(vic_statusserver_socket(metrics_server_check(L)->status)));
    return 1;
}

/*
 * server:address() -> string
 * "127.0.0.1:8081" or "[::]:8081": where it listens, as in a URL.
 */
static int l_metrics_server_address(lua_State *L)
{
    char text[VIC_ADDRESS_SIZE];

    vic_listen_address(vic_statusserver_socket(metrics_server_check(L)->status), text);
    lua_pushstring(L, text);
    return 1;
}

/* server:close(), __close and __gc: connections are cut. */
static int l_metrics_server_close(lua_State *L)
{
    struct server **box = luaL_checkudata(L, 1, SERVER_TYPE);
    struct server *server = *box;

    *box = NULL;
    if (!server)
        return 0;
    vic_statusserver_stop(server->status);
    server_free(server);
    return 0;
}

void vic_metrics_server_init(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "address", l_metrics_server_address },
        { "close", l_metrics_server_close },
        { "port", l_metrics_server_port },
        { "ready", l_metrics_server_ready },
        { "__close", l_metrics_server_close },
        { "__gc", l_metrics_server_close },
        { NULL, NULL },
    };

    luaL_newmetatable(L, SERVER_TYPE);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
