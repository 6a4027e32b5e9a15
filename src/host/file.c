/*
 * host.file: not written yet.
 */
#include "host.h"

#include <lauxlib.h>

int vic_open_file(lua_State *L)
{
    lua_newtable(L);
    return 1;
}
