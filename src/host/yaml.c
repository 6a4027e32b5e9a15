/*
 * host.yaml: YAML as Kubernetes reads it <-> tables.
 */
#include "error.h"
#include "fail.h"
#include "host.h"
#include "options.h"
#include "yaml_read.h"
#include "yaml_write.h"

#include <lauxlib.h>

#include <stdbool.h>
#include <stddef.h>

#define MOST_BYTES  ((size_t)16 << 20)
#define MOST_MEMORY ((size_t)32 << 20)

struct parse_opts {
    const char *what;
    struct vic_yaml_limits limits;
};

/*
 * yaml.parse(text, opts) -> documents | nil, err
 *
 *   text       string  UTF-8, at most 16 MiB
 *   opts.what  string  its name in messages                    (default "YAML")
 *   opts.written  boolean  scalars without quotes are strings as they are written
 *                       (007, 1e3, yes), but for null                  (default false)
 *   opts.max_memory  bytes  that the documents may take         (default 32 MiB)
 *   documents  list    the values of all documents that are not empty
 *   err        format  "what:line:column: reason"
 *
 * Scalars without quotes mean what they mean to kubectl and the API server: y, yes,
 * on, n, no, off and so on are booleans; 0x1f, 0o17, 017, 0b11 and 1_000 are integers;
 * 1.0 and 1e3 are integers too; timestamps are strings. Keys are strings ("true" for
 * an unquoted on). Lists are marked (json.array). A null is dropped from a map and
 * refused in a list. Refused, too: a key twice in a map, .inf and .nan, integers
 * beyond 64 bits, more than 64 levels, more than 100 000 values with aliases
 * expanded. A merge key << adds what the map does not say itself.
 * Source: sigs.k8s.io/yaml; YAML 1.1.
 */
static int l_yaml_parse(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    static const struct vic_option options[] = {
        { "what", VIC_OPTION_STRING, offsetof(struct parse_opts, what) },
        { "written", VIC_OPTION_BOOL, offsetof(struct parse_opts, limits.written) },
        { "max_memory", VIC_OPTION_SIZE, offsetof(struct parse_opts, limits.memory) },
        { NULL, VIC_OPTION_OTHER, 0 },
    };
    struct parse_opts opts = { .what = "YAML", .limits.memory = MOST_MEMORY };
    struct vic_error err;

    vic_options_read(L, 2, options, &opts);
    if (len > MOST_BYTES)
        return vic_fail(L, "format", "%s: more than %zu bytes", opts.what, MOST_BYTES);
    if (vic_yaml_read(L, text, len, opts.what, &opts.limits, &err) != 0)
        return vic_fail_error(L, &err);
    return 1;
}

/*
 * yaml.dump(value) -> text
 * One document in block style, which yaml.parse and every YAML 1.1 or 1.2 reader turn
 * into the same value again. Keys are sorted; apiVersion, kind, metadata, name,
 * namespace, spec and status come first. Lists and maps are told apart as by
 * json.encode. Throws an err of kind invalid, as json.encode does.
 */
static int l_yaml_dump(lua_State *L)
{
    luaL_checkany(L, 1);
    vic_yaml_write(L, 1);
    return 1;
}

int vic_open_yaml(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "parse", l_yaml_parse },
        { "dump", l_yaml_dump },
        { NULL, NULL },
    };

    luaL_newlib(L, functions);
    return 1;
}
