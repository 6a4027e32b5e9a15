/*
 * host.metrics: counters, gauges and histograms, and the server that shows them.
 *
 * Scraping never enters Lua: the values live in C, and a thread of its own answers.
 *
 *   local requests = metrics.counter("vm_import_api_requests_total",
 *     "Requests to the Kubernetes API.", { "verb", "code" })
 *   requests:add(1, { verb = "get", code = "200" })
 *
 *   local server <close> = assert(metrics.serve({ port = 8081 }))
 *   server:ready(false, "the informers are not synced")
 *   server:ready(true)
 */
#include "metrics.h"

#include "error.h"
#include "host.h"
#include "metrics_server.h"
#include "text.h"

#include <lauxlib.h>
#include <math.h>
#include <stddef.h>

#define METRIC_TYPE "vic.metric"

struct metric {
    struct vic_metric *metric; /* lives as long as the process */
    enum vic_metric_kind kind;
};

static void read_labels(lua_State *L, int index, struct vic_metric_opts *opts)
{
    lua_Integer i, n;

    if (lua_isnoneornil(L, index))
        return;
    luaL_checktype(L, index, LUA_TTABLE);
    n = luaL_len(L, index);
    luaL_argcheck(L, n <= VIC_METRIC_LABELS, index, "too many labels");
    for (i = 0; i < n; i++) {
        lua_geti(L, index, i + 1); /* in the table; it outlives the call */
        luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, index, "labels must be strings");
        opts->labels[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    opts->label_count = (size_t)n;
}

static void read_bounds(lua_State *L, int index, struct vic_metric_opts *opts)
{
    lua_Integer i, n;

    luaL_checktype(L, index, LUA_TTABLE);
    n = luaL_len(L, index);
    luaL_argcheck(L, n <= VIC_METRIC_BOUNDS, index, "too many buckets");
    for (i = 0; i < n; i++) {
        lua_geti(L, index, i + 1);
        luaL_argcheck(L, lua_isnumber(L, -1), index, "buckets must be numbers");
        opts->bounds[i] = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    opts->bound_count = (size_t)n;
}

/* A wrong definition is a mistake in a script: throws. */
static int push_metric(lua_State *L, enum vic_metric_kind kind)
{
    struct vic_metric_opts opts = { .kind = kind };
    struct metric *box;
    struct vic_error err;

    opts.name = luaL_checkstring(L, 1);
    opts.help = luaL_checkstring(L, 2);
    read_labels(L, 3, &opts);
    if (kind == VIC_HISTOGRAM)
        read_bounds(L, 4, &opts);
    box = lua_newuserdatauv(L, sizeof(*box), 0);
    box->kind = kind;
    box->metric = vic_metric_register(&opts, &err);
    if (!box->metric)
        return luaL_error(L, "%s", err.message);
    luaL_setmetatable(L, METRIC_TYPE);
    return 1;
}

/*
 * metrics.counter(name, help, labels?) -> counter
 * What only grows. The same definition again gives the same counter; this, as all that is
 * wrong with a definition, throws when the name is defined otherwise.
 *
 *   name    string  "vm_import_..._total"; letters, digits, "_"
 *   help    string  one line
 *   labels  list    names of its labels, at most 8                    (default: none)
 *
 * A metric holds 500 combinations of label values; what comes beyond them is dropped and
 * counted in vm_import_metrics_dropped_total. So no label holds names of objects.
 * Source: Prometheus, "Metric and label naming", "Exposition formats".
 */
static int l_metrics_counter(lua_State *L)
{
    return push_metric(L, VIC_COUNTER);
}

/*
 * metrics.gauge(name, help, labels?) -> gauge
 * What goes up and down. As metrics.counter, but the name does not end in _total.
 */
static int l_metrics_gauge(lua_State *L)
{
    return push_metric(L, VIC_GAUGE);
}

/*
 * metrics.histogram(name, help, labels, buckets) -> histogram
 * How observations are spread. As metrics.gauge, and
 *
 *   labels   list | nil
 *   buckets  list  1 to 32 upper bounds, ascending; +Inf comes by itself
 */
static int l_metrics_histogram(lua_State *L)
{
    return push_metric(L, VIC_HISTOGRAM);
}

static struct metric *check_metric(lua_State *L)
{
    return luaL_checkudata(L, 1, METRIC_TYPE);
}

/* Fills the values in the labels' order; they lie on the stack. Throws unless the table
 * at `index` has just these labels. */
static void read_values(lua_State *L, int index, const struct vic_metric *m,
                        const char **values)
{
    size_t count = vic_metric_label_count(m), given = 0, i;

    lua_settop(L, index);
    if (lua_isnil(L, index)) {
        lua_newtable(L);
        lua_replace(L, index);
    }
    luaL_checktype(L, index, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        given++;
    for (i = 0; i < count; i++) {
        if (lua_getfield(L, index, vic_metric_label(m, i)) == LUA_TNIL)
            luaL_error(L, "label %s is missing", vic_metric_label(m, i));
        values[i] = luaL_tolstring(L, -1, NULL);
    }
    if (given != count)
        luaL_error(L, "%d labels are given, the metric has %d", (int)given, (int)count);
}

/*
 * counter:add(value?, labels?), gauge:add(value?, labels?)
 *
 *   value   number  not negative for a counter                           (default 1)
 *   labels  table   {name = value}: all of the metric's labels, no others; values are
 *                   written as by tostring and cut after 128 bytes
 */
static int l_metric_add(lua_State *L)
{
    struct metric *m = check_metric(L);
    double by = luaL_optnumber(L, 2, 1);
    const char *values[VIC_METRIC_LABELS];

    luaL_argcheck(L, m->kind != VIC_HISTOGRAM, 1, "a histogram has observe");
    luaL_argcheck(L, m->kind == VIC_GAUGE || (isfinite(by) && by >= 0), 2,
                  "a counter only grows");
    read_values(L, 3, m->metric, values);
    vic_metric_add(m->metric, values, by);
    return 0;
}

/*
 * gauge:set(value, labels?)
 */
static int l_metric_set(lua_State *L)
{
    struct metric *m = check_metric(L);
    double value = luaL_checknumber(L, 2);
    const char *values[VIC_METRIC_LABELS];

    luaL_argcheck(L, m->kind == VIC_GAUGE, 1, "only a gauge can be set");
    read_values(L, 3, m->metric, values);
    vic_metric_set(m->metric, values, value);
    return 0;
}

/*
 * histogram:observe(value, labels?)
 */
static int l_metric_observe(lua_State *L)
{
    struct metric *m = check_metric(L);
    double value = luaL_checknumber(L, 2);
    const char *values[VIC_METRIC_LABELS];

    luaL_argcheck(L, m->kind == VIC_HISTOGRAM, 1, "only a histogram observes");
    read_values(L, 3, m->metric, values);
    vic_metric_observe(m->metric, values, value);
    return 0;
}

/*
 * metric:remove(labels?)
 * Forgets that combination, or (without `labels`) all there are: what they stood for is
 * gone.
 */
static int l_metric_remove(lua_State *L)
{
    struct metric *m = check_metric(L);
    const char *values[VIC_METRIC_LABELS];

    if (lua_isnoneornil(L, 2)) {
        vic_metric_remove(m->metric, NULL);
        return 0;
    }
    read_values(L, 2, m->metric, values);
    vic_metric_remove(m->metric, values);
    return 0;
}

/*
 * metrics.text() -> string
 * What GET /metrics answers.
 */
static int l_metrics_text(lua_State *L)
{
    struct vic_text text = { 0 };

    vic_metrics_text(&text);
    lua_pushlstring(L, text.data, text.size);
    vic_text_fini(&text);
    return 1;
}

int vic_open_metrics(lua_State *L)
{
    static const luaL_Reg metric[] = {
        { "add", l_metric_add },
        { "observe", l_metric_observe },
        { "remove", l_metric_remove },
        { "set", l_metric_set },
        { NULL, NULL },
    };
    static const luaL_Reg functions[] = {
        { "counter", l_metrics_counter },     { "gauge", l_metrics_gauge },
        { "histogram", l_metrics_histogram }, { "serve", vic_l_metrics_serve },
        { "text", l_metrics_text },           { NULL, NULL },
    };

    luaL_newmetatable(L, METRIC_TYPE);
    luaL_setfuncs(L, metric, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);

    vic_metrics_server_init(L);
    luaL_newlib(L, functions);
    return 1;
}
