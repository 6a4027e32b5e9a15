/*
 * host.xml: XML to tables, for answers of machines: no DTD, so no entities of its
 * own; nothing is fetched.
 */
#include "error.h"
#include "fail.h"
#include "host.h"
#include "options.h"
#include "text.h"
#include "xml_read.h"

#include <lauxlib.h>
#include <libxml/parser.h>

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define MAX_SIZE   ((size_t)16 << 20)
#define MAX_DEPTH  128
#define MAX_MEMORY ((size_t)32 << 20)
#define XSI_TYPE   "{http://www.w3.org/2001/XMLSchema-instance}type"

struct parse_options {
    struct vic_xml_limits limits;
    const char *what;
};

static const struct vic_option PARSE_OPTIONS[] = {
    { "max_size", VIC_OPTION_SIZE, offsetof(struct parse_options, limits.size) },
    { "max_depth", VIC_OPTION_SIZE, offsetof(struct parse_options, limits.depth) },
    { "max_memory", VIC_OPTION_SIZE, offsetof(struct parse_options, limits.memory) },
    { "what", VIC_OPTION_STRING, offsetof(struct parse_options, what) },
    { NULL, VIC_OPTION_OTHER, 0 },
};

/*
 * xml.parse(text, opts) -> node | nil, err
 *
 *   text            string   UTF-8, whatever its declaration says
 *   opts.max_size   bytes                                       (default 16 MiB)
 *   opts.max_depth  integer  elements within elements           (default 128)
 *   opts.max_memory bytes    that the nodes may take            (default 32 MiB)
 *   opts.what       string   its name in messages               (default "XML")
 *   node            table    the root element
 *     .name         string   without prefix
 *     .ns           string   namespace URI, "" for none
 *     .attrs        table    name -> value; "{uri}name" if it has a namespace; read only
 *     .text         string   its own text, without that of its children
 *     [1] ...       node     its children
 *   err             format   "what:line:column: reason": not XML, an undeclared prefix,
 *                            a DOCTYPE, not UTF-8, too deep, a namespace URI of more
 *                            than 1024 bytes, too much memory
 *
 * Comments and processing instructions are left out.
 * Source: XML 1.0, Namespaces in XML 1.0.
 */
static int l_xml_parse(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    struct parse_options options = { { MAX_SIZE, MAX_DEPTH, MAX_MEMORY }, "XML" };
    struct vic_error err;

    vic_options_read(L, 2, PARSE_OPTIONS, &options);
    if (vic_xml_read(L, text, len, &options.limits, options.what, &err) != 0)
        return vic_fail_error(L, &err);
    return 1;
}

/* Whether the child i of the node at 1 is called as the string at 2; pushes it. */
static bool push_child(lua_State *L, lua_Integer i)
{
    bool same;

    lua_rawgeti(L, 1, i);
    lua_getfield(L, -1, "name");
    same = lua_rawequal(L, -1, 2);
    lua_pop(L, 1);
    if (!same)
        lua_pop(L, 1);
    return same;
}

/*
 * xml.child(node, name) -> node | nil
 * The first child of that name, in whatever namespace.
 */
static int l_xml_child(lua_State *L)
{
    lua_Integer n;
    lua_Integer i;

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkstring(L, 2);
    n = (lua_Integer)lua_rawlen(L, 1);
    for (i = 1; i <= n; i++)
        if (push_child(L, i))
            return 1;
    lua_pushnil(L);
    return 1;
}

/*
 * xml.children(node, name) -> nodes
 * All children of that name, in whatever namespace, in order.
 */
static int l_xml_children(lua_State *L)
{
    lua_Integer found = 0;
    lua_Integer n;
    lua_Integer i;

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    n = (lua_Integer)lua_rawlen(L, 1);
    lua_newtable(L);
    for (i = 1; i <= n; i++)
        if (push_child(L, i))
            lua_rawseti(L, 3, ++found);
    return 1;
}

/*
 * xml.child_text(node, name) -> string | nil
 * The text of the first child of that name; nil if there is none.
 */
static int l_xml_child_text(lua_State *L)
{
    l_xml_child(L);
    if (!lua_isnil(L, -1))
        lua_getfield(L, -1, "text");
    return 1;
}

/*
 * xml.type(node) -> string | nil
 * What xsi:type says, without its prefix: the type of a polymorphic value.
 * Source: XML Schema Part 1, 2.6.1.
 */
static int l_xml_type(lua_State *L)
{
    const char *type;
    const char *colon;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "attrs");
    lua_getfield(L, -1, XSI_TYPE);
    type = lua_tostring(L, -1);
    if (!type)
        return 1;
    colon = strchr(type, ':');
    lua_pushstring(L, colon ? colon + 1 : type);
    return 1;
}

/* How a byte is written in an element or an attribute; NULL: as it is, "": not at all. */
static const char *escape_byte(unsigned char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&apos;";
    case '\t':
        return "&#9;";
    case '\n':
        return "&#10;";
    case '\r':
        return "&#13;";
    default:
        return c < 0x20 ? "" : NULL;
    }
}

/*
 * xml.escape(text) -> escaped | nil, err
 *
 *   text     string   UTF-8
 *   escaped  string   stands for text as the content of an element or an attribute
 *   err      invalid  text holds what XML cannot: not UTF-8, a control character,
 *                     U+FFFE, U+FFFF
 */
static int l_xml_escape(lua_State *L)
{
    size_t len;
    const char *s = luaL_checklstring(L, 1, &len);
    luaL_Buffer out;
    size_t i;

    if (vic_utf8_valid(s, len) != len)
        return vic_fail(L, "invalid", "text that is not UTF-8 cannot be put into XML");
    if (memmem(s, len, "\xef\xbf\xbe", 3) || memmem(s, len, "\xef\xbf\xbf", 3))
        return vic_fail(L, "invalid", "U+FFFE and U+FFFF cannot be put into XML");
    luaL_buffinit(L, &out);
    for (i = 0; i < len; i++) {
        const char *as = escape_byte((unsigned char)s[i]);

        if (as && !*as)
            return vic_fail(L, "invalid", "a control character cannot be put into XML");
        if (as)
            luaL_addstring(&out, as);
        else
            luaL_addchar(&out, s[i]);
    }
    luaL_pushresult(&out);
    return 1;
}

int vic_open_xml(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "parse", l_xml_parse },
        { "child", l_xml_child },
        { "children", l_xml_children },
        { "child_text", l_xml_child_text },
        { "type", l_xml_type },
        { "escape", l_xml_escape },
        { NULL, NULL },
    };

    xmlInitParser();
    luaL_newlib(L, functions);
    return 1;
}
