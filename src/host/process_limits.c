/*
 * process_limits: see process_limits.h.
 */
#include "process_limits.h"

#include "alloc.h"
#include "confine.h"
#include "confinement.h"
#include "fail.h"
#include "options.h"

#include <lauxlib.h>

#include <stdlib.h>

static const struct vic_confinement ALL = { .seccomp = true, .landlock = true };

/* A list of the table on top. */
static char **read_files(lua_State *L, const char *name)
{
    char **list = NULL;
    lua_Integer i, count;

    if (lua_getfield(L, -1, name) == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    luaL_checktype(L, -1, LUA_TTABLE);
    count = luaL_len(L, -1);
    luaL_checkstack(L, (int)count, "too many files");
    for (i = 1; i <= count; i++)
        if (lua_geti(L, (int)-i, i) != LUA_TSTRING)
            luaL_error(L, "option '%s': a list of paths expected", name);
    list = vic_alloc(((size_t)count + 1) * sizeof(*list));
    for (i = 0; i < count; i++)
        list[i] = vic_strdup(lua_tostring(L, (int)(i - count)));
    lua_pop(L, (int)count + 1);
    return list;
}

static void list_of_files_free(char **list)
{
    char **at;

    for (at = list; at && *at; at++)
        free(*at);
    free(list);
}

static void limits_read(lua_State *L, struct vic_confine *limits)
{
#define FIELD(name) offsetof(struct vic_confine, name)
    static const struct vic_option options[] = {
        { "memory", VIC_OPTION_SIZE, FIELD(memory) },
        { "cpu", VIC_OPTION_SIZE, FIELD(cpu) },
        { "file_size", VIC_OPTION_SIZE, FIELD(file_size) },
        { "read", VIC_OPTION_OTHER, 0 },
        { "write", VIC_OPTION_OTHER, 0 },
        { NULL, 0, 0 },
    };
#undef FIELD

    luaL_checktype(L, -1, LUA_TTABLE);
    vic_options_read(L, lua_gettop(L), options, limits);
    limits->read = read_files(L, "read");
    limits->write = read_files(L, "write");
}

int vic_process_launcher(lua_State *L, const char *program, char ***launcher,
                         struct vic_error *err)
{
    struct vic_confine limits = { .with = vic_confinement_offered() };
    int result = 0;

    if (lua_getfield(L, 1, "limits") != LUA_TNIL) {
        limits_read(L, &limits);
        result = vic_confinement_check(program, ALL, err);
        *launcher = vic_confine_launcher(&limits);
        list_of_files_free(limits.read);
        list_of_files_free(limits.write);
    }
    lua_pop(L, 1);
    return result;
}

/*
 * process.confinement() -> {seccomp = boolean, landlock = boolean}
 * What the kernel offers to confine what process.run() starts within limits.
 */
static int l_process_confinement(lua_State *L)
{
    struct vic_confinement offered = vic_confinement_offered();

    lua_createtable(L, 0, 2);
    lua_pushboolean(L, offered.seccomp);
    lua_setfield(L, -2, "seccomp");
    lua_pushboolean(L, offered.landlock);
    lua_setfield(L, -2, "landlock");
    return 1;
}

/*
 * process.can_confine(program) -> true | nil, err
 * Whether process.run() within limits would start it, as far as the kernel is concerned.
 *
 *   err  unsupported: as process.run() has it
 */
static int l_process_can_confine(lua_State *L)
{
    struct vic_error err;

    if (vic_confinement_check(luaL_checkstring(L, 1), ALL, &err) < 0)
        return vic_fail_error(L, &err);
    lua_pushboolean(L, true);
    return 1;
}

/*
 * process.require_confinement(what)
 * From now on what the kernel cannot confine so is not started; before, it is, with a
 * warning.
 *
 *   what.seccomp, what.landlock  boolean
 */
static int l_process_require_confinement(lua_State *L)
{
    struct vic_confinement what = { false, false };

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "seccomp");
    what.seccomp = lua_toboolean(L, -1);
    lua_getfield(L, 1, "landlock");
    what.landlock = lua_toboolean(L, -1);
    vic_confinement_require(what);
    return 0;
}

void vic_process_add_confinement(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "can_confine", l_process_can_confine },
        { "confinement", l_process_confinement },
        { "require_confinement", l_process_require_confinement },
        { NULL, NULL },
    };

    luaL_setfuncs(L, functions, 0);
}
