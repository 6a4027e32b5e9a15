/*
 * host.text: text of others, for people.
 */
#include "text.h"

#include "host.h"

#include <lauxlib.h>
#include <stdint.h>

/*
 * text.visible(text, most?) -> text
 * As it is, but that it can neither move a terminal nor deceive who reads it: a control
 * character (C0, DEL, C1), a line's end, and what turns the direction of writing or is not
 * seen at all is written as in C ("\x1b", "\n", "\u202e"); what is not UTF-8 is U+FFFD.
 *
 *   most  bytes at most; then it ends in an ellipsis              (default: any number)
 *
 * Source: Unicode 15, Bidi_Control and Default_Ignorable_Code_Point, without joiners and
 * variation selectors, which belong to words and emoji.
 */
static int l_text_visible(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    lua_Integer most = luaL_optinteger(L, 2, LUA_MAXINTEGER);
    struct vic_text out = { 0 };

    luaL_argcheck(L, most >= 0, 2, "is negative");
    vic_text_visible(&out, text, size, (size_t)most);
    lua_pushlstring(L, out.data ? out.data : "", out.size);
    vic_text_fini(&out);
    return 1;
}

int vic_open_text(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "visible", l_text_visible },
        { NULL, NULL },
    };

    luaL_newlib(L, functions);
    return 1;
}
