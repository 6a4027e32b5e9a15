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

#include <lauxlib.h>
#include <stddef.h>
#include <stdlib.h>
#include <uv.h>

#define SERVER_TYPE "metrics.server"

#define STALL           30.0 /* seconds */
#define TICKS_PER_STALL 6    /* how often the loop says that it runs */

/* A started server; freed when the timer is closed. */
struct server {
    uv_timer_t timer;
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

static void metrics_server_on_closed(uv_handle_t *timer)
{
    free(timer->data);
}

/* The loop says that it runs; it need not run for that. */
static struct server *start_ticking(struct vic_statusserver *status, double stall)
{
    struct server *server = vic_alloc(sizeof(*server));
    uint64_t every = (uint64_t)((stall > 0 ? stall : STALL) * 1000 / TICKS_PER_STALL);

    server->status = status;
    uv_timer_init(uv_default_loop(), &server->timer);
    server->timer.data = server;
    uv_unref((uv_handle_t *)&server->timer);
    uv_timer_start(&server->timer, on_tick, every, every > 0 ? every : 1);
    return server;
}

/*
 * metrics.serve(opts?) -> server, to be closed | nil, err
 * GET /metrics; /healthz: 200 while the event loop runs; /readyz: 200 once server:ready
 * says so. A thread of its own answers: nothing that happens in Lua delays it.
 *
 *   opts.host   string   numeric address                      (default: all addresses)
 *   opts.port   integer  0: any free one                                   (default 0)
 *   opts.stall  seconds  the loop may stand still before /healthz is 503  (default 30)
 *   err         invalid: no address; io, denied: it cannot listen there
 */
int vic_l_metrics_serve(lua_State *L)
{
    static const struct vic_option LIST[] = {
        { "host", VIC_OPTION_STRING, offsetof(struct vic_statusserver_opts, host) },
        { "port", VIC_OPTION_PORT, offsetof(struct vic_statusserver_opts, port) },
        { "stall", VIC_OPTION_SECONDS, offsetof(struct vic_statusserver_opts, stall) },
        { NULL, VIC_OPTION_OTHER, 0 },
    };
    struct vic_statusserver_opts opts = { .stall = STALL };
    struct vic_statusserver *status;
    struct server **box;
    struct vic_error err;

    vic_options_read(L, 1, LIST, &opts);
    box = metrics_server_push(L);
    status = vic_statusserver_start(&opts, &err);
    if (!status)
        return vic_fail_error(L, &err);
    *box = start_ticking(status, opts.stall);
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
    uv_close((uv_handle_t *)&server->timer, metrics_server_on_closed);
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
