/*
 * disk_options: see disk_options.h.
 */
#include "disk_options.h"

#include "disk_renewal.h"
#include "options.h"
#include "transfer.h"

#include <lauxlib.h>

#include <string.h>

struct source_opts {
    const char *url;
    const char *file;
    const char *connect_to;
    size_t offset;
    size_t length;
    size_t zeros;
    bool resumable;
};

struct transfer_opts {
    const char *format;
    const char *compression;
    const char *output;
    size_t capacity;
    size_t size;
    size_t max_size;
    bool sha512;
    bool guessed;
    double idle_timeout;
    double connect_timeout;
    size_t least_rate;
    double rate_over;
};

/* The table at field `name` of the table at `index`, or nil; pushed. */
static void push_field(lua_State *L, int index, const char *name, bool needed)
{
    int type = lua_getfield(L, index, name);

    if (type != LUA_TTABLE && (needed || type != LUA_TNIL))
        luaL_error(L, "option '%s': table expected, got %s", name, luaL_typename(L, -1));
}

/* Reads opts.source; what it leaves on the stack keeps its strings alive. */
static void read_source(lua_State *L, int index, struct vic_description *d)
{
    static const struct vic_option source_list[] = {
        { "url", VIC_OPTION_STRING, offsetof(struct source_opts, url) },
        { "file", VIC_OPTION_STRING, offsetof(struct source_opts, file) },
        { "connect_to", VIC_OPTION_STRING, offsetof(struct source_opts, connect_to) },
        { "offset", VIC_OPTION_SIZE, offsetof(struct source_opts, offset) },
        { "length", VIC_OPTION_SIZE, offsetof(struct source_opts, length) },
        { "zeros", VIC_OPTION_SIZE, offsetof(struct source_opts, zeros) },
        { "resumable", VIC_OPTION_BOOL, offsetof(struct source_opts, resumable) },
        { "headers", VIC_OPTION_OTHER, 0 },
        { "renewal", VIC_OPTION_OTHER, 0 },
        { "tls", VIC_OPTION_OTHER, 0 },
        { NULL, 0, 0 },
    };
    static const struct vic_option tls_list[] = {
        { "ca", VIC_OPTION_STRING, offsetof(struct vic_tls_opts, ca) },
        { "thumbprint", VIC_OPTION_STRING, offsetof(struct vic_tls_opts, thumbprint) },
        { "learn", VIC_OPTION_BOOL, offsetof(struct vic_tls_opts, learn) },
        { "ca_field", VIC_OPTION_STRING, offsetof(struct vic_tls_opts, ca_field) },
        { "thumbprint_field", VIC_OPTION_STRING,
          offsetof(struct vic_tls_opts, thumbprint_field) },
        { NULL, 0, 0 },
    };
    struct source_opts source = { 0 };
    int at;

    push_field(L, index, "source", true);
    at = lua_gettop(L);
    vic_options_read(L, at, source_list, &source);
    if (!!source.url + !!source.file + !!source.zeros != 1)
        luaL_error(L, "option 'source': either url, file or zeros");
    d->zeros = source.zeros;
    d->file = source.file;
    d->http.url = source.url;
    d->http.connect_to = source.connect_to;
    d->http.resumable = source.resumable;
    d->http.window.offset = source.offset;
    d->http.window.length = source.length;
    push_field(L, at, "tls", false);
    if (!lua_isnil(L, -1))
        vic_options_read(L, -1, tls_list, &d->http.tls);
    lua_getfield(L, at, "renewal");
    d->http.renewal = lua_isnil(L, -1) ? NULL : vic_renewal_check(L, -1);
    push_field(L, at, "headers", false);
    d->http.headers = vic_disk_headers(L);
}

static enum vic_algorithm check_algorithm(lua_State *L, int index)
{
    const char *name = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
    enum vic_algorithm algorithm = vic_algorithm_of(name);

    if (algorithm == VIC_ALGORITHMS)
        luaL_error(L, "no digest '%s': sha1, sha256, sha512 or md5", name);
    return algorithm;
}

/* opts.digests and opts.digest. */
static void read_digests(lua_State *L, int index, struct vic_description *d)
{
    lua_Integer i;

    push_field(L, index, "digests", false);
    if (!lua_isnil(L, -1))
        for (i = 1; lua_geti(L, -1, i) != LUA_TNIL; lua_pop(L, 1), i++)
            d->digests |= 1u << check_algorithm(L, -1);
    push_field(L, index, "digest", false);
    if (lua_isnil(L, -1))
        return;
    lua_getfield(L, -1, "algorithm");
    d->expected_algorithm = check_algorithm(L, -1);
    if (lua_getfield(L, -2, "value") != LUA_TSTRING)
        luaL_error(L, "option 'digest': a value in hex");
    d->expected = lua_tostring(L, -1);
}

static enum vic_disk_format check_format(lua_State *L, const char *format)
{
    if (!format)
        return (enum vic_disk_format)luaL_error(L, "option 'format' is needed");
    if (strcmp(format, "vmdk") == 0)
        return VIC_DISK_VMDK;
    if (strcmp(format, "raw") == 0)
        return VIC_DISK_RAW;
    if (strcmp(format, "stream") != 0)
        luaL_error(L, "option 'format': vmdk, raw or stream, not '%s'", format);
    return VIC_DISK_STREAM;
}

void vic_disk_options(lua_State *L, int index, struct vic_transfer_opts *opts)
{
    static const struct vic_option list[] = {
        { "format", VIC_OPTION_STRING, offsetof(struct transfer_opts, format) },
        { "compression", VIC_OPTION_STRING, offsetof(struct transfer_opts, compression) },
        { "output", VIC_OPTION_STRING, offsetof(struct transfer_opts, output) },
        { "capacity", VIC_OPTION_SIZE, offsetof(struct transfer_opts, capacity) },
        { "size", VIC_OPTION_SIZE, offsetof(struct transfer_opts, size) },
        { "max_size", VIC_OPTION_SIZE, offsetof(struct transfer_opts, max_size) },
        { "sha512", VIC_OPTION_BOOL, offsetof(struct transfer_opts, sha512) },
        { "guessed", VIC_OPTION_BOOL, offsetof(struct transfer_opts, guessed) },
        { "idle_timeout", VIC_OPTION_SECONDS,
          offsetof(struct transfer_opts, idle_timeout) },
        { "connect_timeout", VIC_OPTION_SECONDS,
          offsetof(struct transfer_opts, connect_timeout) },
        { "least_rate", VIC_OPTION_SIZE, offsetof(struct transfer_opts, least_rate) },
        { "rate_over", VIC_OPTION_SECONDS, offsetof(struct transfer_opts, rate_over) },
        { "source", VIC_OPTION_OTHER, 0 },
        { "spool", VIC_OPTION_OTHER, 0 },
        { "digest", VIC_OPTION_OTHER, 0 },
        { "digests", VIC_OPTION_OTHER, 0 },
        { NULL, 0, 0 },
    };
    struct vic_description *d = &opts->stream;
    struct transfer_opts given = { .idle_timeout = 60,
                                   .connect_timeout = 30,
                                   .rate_over = 900 };

    luaL_checktype(L, index, LUA_TTABLE);
    vic_options_read(L, index, list, &given);
    opts->output = given.output;
    opts->sha512 = given.sha512;
    d->format = check_format(L, given.format);
    d->gzip = given.compression != NULL;
    if (given.compression && strcmp(given.compression, "gzip") != 0)
        luaL_error(L, "option 'compression': gzip, not '%s'", given.compression);
    d->capacity = given.capacity;
    d->size = given.size;
    d->http.most = given.size ? given.size : given.max_size;
    d->guessed = given.guessed;
    d->http.idle_timeout = given.idle_timeout;
    d->http.connect_timeout = given.connect_timeout;
    d->http.least_rate = (double)given.least_rate;
    d->http.rate_over = given.rate_over;
    read_source(L, index, d);
    read_digests(L, index, d);
}
