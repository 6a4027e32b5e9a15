/*
 * http: what the bindings of host.http share: options into requests, answers into
 * tables. Only for http*.c.
 */
#ifndef VIC_HOST_HTTP_H
#define VIC_HOST_HTTP_H

#include "request.h"

#include <lua.h>

struct vic_multi;

#define VIC_HTTP_POOL "vic.http.pool" /* the metatable of pools */

struct vic_http_pool {
    struct vic_multi *multi; /* NULL: closed */
    double connect_timeout;
    bool learn;
    bool shares;
    bool anywhere;
};

/* The pool at `index`, which must be open; else throws. */
struct vic_http_pool *vic_http_check_pool(lua_State *L, int index);

/* Pushes a pool made from the table at `index`, or nil, err. Returns their number. */
int vic_http_pool_push(lua_State *L, int index);

/* http.pool, and what a pool has besides requests. */
int l_http_pool(lua_State *L);
int l_pool_close(lua_State *L);
int l_pool_clear_cookies(lua_State *L);

/* Fills `opts` from the table at `index` and the pool; the strings are the table's.
 * `max_line` is an option too unless it is NULL. */
void vic_http_read_opts(lua_State *L, int index, const struct vic_http_pool *pool,
                        struct vic_request_opts *opts, size_t *max_line);

/* Adds what is in the table's field `headers`. -1: err is set. May throw. */
int vic_http_read_headers(lua_State *L, int index, struct vic_headers *headers,
                          struct vic_error *err);

/* Pushes nil and an err, for tls with err.certificate. Returns 2. */
int vic_http_push_failure(lua_State *L, const struct vic_request *request);

/* Pushes {status, url, headers, certificate}. */
void vic_http_push_head(lua_State *L, const struct vic_answer *answer);

/* The same with its body. */
void vic_http_push_answer(lua_State *L, const struct vic_answer *answer);

/* pool:lines and pool:pieces, and the type of what they return. */
int l_pool_lines(lua_State *L);
int l_pool_pieces(lua_State *L);
void vic_http_lines_init(lua_State *L);

#endif
