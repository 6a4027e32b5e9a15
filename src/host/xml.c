/*
 * host.xml: XML to tables, for answers of machines: no DTD, so no entities of its
 * own; nothing is fetched.
 *
 * libxml2's reader sits in a userdata and is asked for one node at a time, so that a
 * throw leaks nothing and there is never a second tree of the whole text.
 */
#include "error.h"
#include "fail.h"
#include "host.h"
#include "text.h"
#include "value.h"

#include <lauxlib.h>
#include <libxml/xmlreader.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define READER_TYPE "vic.xml.reader"
#define MAX_SIZE    (16 * 1024 * 1024)
#define MAX_DEPTH   128
#define MAX_NODES   500000 /* elements; about 400 bytes each in Lua */
#define XMLNS       "http://www.w3.org/2000/xmlns/"
#define XSI_TYPE    "{http://www.w3.org/2001/XMLSchema-instance}type"

#if LIBXML_VERSION >= 21200
typedef const xmlError *xml_error_ptr;
#else
typedef xmlErrorPtr xml_error_ptr;
#endif

struct reader {
    lua_State *L;
    xmlTextReaderPtr xml;
    const char *what;
    long long max_depth;
    long long nodes;     /* so far */
    int no_attributes;   /* stack index of the table that all nodes without any share */
    bool failed;
    struct vic_error err;
};

/* Both __close and __gc. */
static int l_reader_close(lua_State *L)
{
    struct reader *r = luaL_checkudata(L, 1, READER_TYPE);

    if (r->xml)
        xmlFreeTextReader(r->xml);
    r->xml = NULL;
    return 0;
}

static struct reader *new_reader(lua_State *L)
{
    struct reader *r = lua_newuserdatauv(L, sizeof(*r), 0);

    memset(r, 0, sizeof(*r));
    r->L = L;
    if (luaL_newmetatable(L, READER_TYPE)) {
        lua_pushcfunction(L, l_reader_close);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, l_reader_close);
        lua_setfield(L, -2, "__close");
    }
    lua_setmetatable(L, -2);
    lua_toclose(L, -1);
    return r;
}

/* Always false; the first reason counts. */
static bool fail_at(struct reader *r, int line, int column, const char *reason)
{
    if (!r->failed)
        vic_error_set(&r->err, VIC_FORMAT, "%s:%d:%d: %s", r->what, line, column, reason);
    r->failed = true;
    return false;
}

static bool fail(struct reader *r, const char *reason)
{
    return fail_at(r, xmlTextReaderGetParserLineNumber(r->xml),
                   xmlTextReaderGetParserColumnNumber(r->xml), reason);
}

/* Called by libxml2: no Lua. Warnings pass. */
static void on_error(void *data, xml_error_ptr error)
{
    char reason[256];
    size_t len;

    if (error->level < XML_ERR_ERROR)
        return;
    if (error->code == XML_ERR_DOCUMENT_END) {
        fail_at(data, error->line, error->int2,
                "the document ends inside an element, or goes on after the root");
        return;
    }
    snprintf(reason, sizeof(reason), "%s", error->message ? error->message : "not XML");
    len = strcspn(reason, "\n");
    reason[len] = '\0';
    fail_at(data, error->line, error->int2, reason);
}

/* Pushes the attribute that the reader is at: [key, value]. */
static void push_attribute(struct reader *r)
{
    const char *uri = (const char *)xmlTextReaderConstNamespaceUri(r->xml);
    const char *name = (const char *)xmlTextReaderConstLocalName(r->xml);

    if (uri)
        lua_pushfstring(r->L, "{%s}%s", uri, name);
    else
        lua_pushstring(r->L, name);
    lua_pushstring(r->L, (const char *)xmlTextReaderConstValue(r->xml));
}

/* Pushes the attributes of the element that the reader is at, but its namespaces. */
static void push_attributes(struct reader *r)
{
    bool any = false;

    while (xmlTextReaderMoveToNextAttribute(r->xml) == 1) {
        const char *uri = (const char *)xmlTextReaderConstNamespaceUri(r->xml);

        if (uri && strcmp(uri, XMLNS) == 0)
            continue;
        if (!any)
            lua_newtable(r->L);
        any = true;
        push_attribute(r);
        lua_rawset(r->L, -3);
    }
    if (!any)
        lua_pushvalue(r->L, r->no_attributes);
    xmlTextReaderMoveToElement(r->xml);
}

static void set_string(lua_State *L, const char *key, const xmlChar *value)
{
    lua_pushstring(L, value ? (const char *)value : "");
    lua_setfield(L, -2, key);
}

/* An open element is two slots of the stack: its node and its texts, a string or,
 * from the second one on, a list of strings. */
static void push_element(struct reader *r)
{
    luaL_checkstack(r->L, 12, "reading XML");
    lua_createtable(r->L, 0, 4);
    set_string(r->L, "name", xmlTextReaderConstLocalName(r->xml));
    set_string(r->L, "ns", xmlTextReaderConstNamespaceUri(r->xml));
    push_attributes(r);
    lua_setfield(r->L, -2, "attrs");
    lua_pushliteral(r->L, "");
}

/* Adds the text that the reader is at to the innermost open element. */
static void add_text(struct reader *r)
{
    const char *text = (const char *)xmlTextReaderConstValue(r->xml);
    lua_State *L = r->L;

    if (!text || !*text)
        return;
    if (lua_istable(L, -1)) {
        lua_pushstring(L, text);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    } else if (lua_rawlen(L, -1) == 0) {
        lua_pop(L, 1);
        lua_pushstring(L, text);
    } else {
        lua_createtable(L, 4, 0);
        lua_insert(L, -2);
        lua_rawseti(L, -2, 1);
        lua_pushstring(L, text);
        lua_rawseti(L, -2, 2);
    }
}

/* Replaces the list of strings on top by one string. */
static void join_texts(lua_State *L)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    int list = lua_gettop(L);
    luaL_Buffer all;
    lua_Integer i;

    luaL_buffinit(L, &all);
    for (i = 1; i <= n; i++) {
        lua_rawgeti(L, list, i);
        luaL_addvalue(&all);
    }
    luaL_pushresult(&all);
    lua_replace(L, list);
}

/* Ends the innermost open element; it becomes a child of the next one, or the result. */
static void end_element(struct reader *r, bool root)
{
    lua_State *L = r->L;

    if (lua_istable(L, -1))
        join_texts(L);
    lua_setfield(L, -2, "text");
    if (!root) /* [parent, parent's texts, node] */
        lua_rawseti(L, -3, (lua_Integer)lua_rawlen(L, -3) + 1);
}

static bool begin_element(struct reader *r)
{
    int depth = xmlTextReaderDepth(r->xml);

    if (depth >= r->max_depth)
        return fail(r, "nested too deep");
    if (++r->nodes > MAX_NODES)
        return fail(r, "too many elements");
    push_element(r);
    if (xmlTextReaderIsEmptyElement(r->xml))
        end_element(r, depth == 0);
    return true;
}

/* Handles the node that the reader is at. */
static bool read_node(struct reader *r)
{
    switch (xmlTextReaderNodeType(r->xml)) {
    case XML_READER_TYPE_ELEMENT:
        return begin_element(r);
    case XML_READER_TYPE_END_ELEMENT:
        end_element(r, xmlTextReaderDepth(r->xml) == 0);
        return true;
    case XML_READER_TYPE_TEXT:
    case XML_READER_TYPE_CDATA:
    case XML_READER_TYPE_WHITESPACE:
    case XML_READER_TYPE_SIGNIFICANT_WHITESPACE:
        add_text(r);
        return true;
    case XML_READER_TYPE_COMMENT:
    case XML_READER_TYPE_PROCESSING_INSTRUCTION:
    case XML_READER_TYPE_XML_DECLARATION:
        return true;
    default:
        return fail(r, "only elements and text are taken");
    }
}

/* After `s`, if it begins with the mark; moves past the end mark, or to the end. */
static bool skip_between(const char **s, const char *end, const char *mark, const char *close)
{
    const char *found;

    if ((size_t)(end - *s) < strlen(mark) || memcmp(*s, mark, strlen(mark)) != 0)
        return false;
    found = memmem(*s, (size_t)(end - *s), close, strlen(close));
    *s = found ? found + strlen(close) : end;
    return true;
}

/* Whether a DOCTYPE precedes the root element. Looked for before libxml2 sees the
 * text, because it would read the declarations in it. */
static bool has_doctype(const char *text, size_t len, const char **where)
{
    static const char doctype[] = "<!DOCTYPE";
    const char *end = text + len;
    const char *s = text;

    if (len >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
        s += 3;
    do {
        while (s < end && strchr(" \t\r\n", *s) && *s)
            s++;
    } while (skip_between(&s, end, "<?", "?>") || skip_between(&s, end, "<!--", "-->"));
    *where = s;
    return (size_t)(end - s) >= strlen(doctype)
           && strncasecmp(s, doctype, strlen(doctype)) == 0;
}

/* Fails at the byte `at` of the text. */
static bool fail_byte(struct reader *r, const char *text, size_t at, const char *reason)
{
    int line = 1;
    int column = 1;
    size_t i;

    for (i = 0; i < at; i++) {
        column++;
        if (text[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return fail_at(r, line, column, reason);
}

/* What can be refused without reading XML. */
static bool check_text(struct reader *r, const char *text, size_t len, lua_Integer max_size)
{
    size_t valid = vic_utf8_valid(text, len);
    const char *where;

    if (len > (size_t)max_size || len > INT_MAX) {
        vic_error_set(&r->err, VIC_FORMAT, "%s: more than %lld bytes", r->what,
                      (long long)max_size);
        return false;
    }
    if (valid < len)
        return fail_byte(r, text, valid, "text that is not UTF-8");
    if (has_doctype(text, len, &where))
        return fail_byte(r, text, (size_t)(where - text), "a DOCTYPE is not taken");
    return true;
}

/* Pushes the root's node. */
static bool read_all(struct reader *r, const char *text, size_t len)
{
    int more;

    r->xml = xmlReaderForMemory(text, (int)len, NULL, "UTF-8",
                                XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING
                                    | XML_PARSE_IGNORE_ENC | XML_PARSE_COMPACT);
    if (!r->xml)
        luaL_error(r->L, "out of memory");
    xmlTextReaderSetStructuredErrorHandler(r->xml, on_error, r);
    while ((more = xmlTextReaderRead(r->xml)) == 1 && !r->failed)
        if (!read_node(r))
            return false;
    if (more != 0 && !r->failed)
        return fail(r, "not XML");
    return !r->failed;
}

/* A table that nobody can write to, for all nodes without attributes. */
static int l_read_only(lua_State *L)
{
    return luaL_error(L, "this node has no attributes and gets none");
}

static void push_no_attributes(lua_State *L)
{
    lua_newtable(L);
    if (luaL_newmetatable(L, "host.xml.none")) {
        lua_pushcfunction(L, l_read_only);
        lua_setfield(L, -2, "__newindex");
    }
    lua_setmetatable(L, -2);
}

static lua_Integer option_integer(lua_State *L, int index, const char *name,
                                  lua_Integer otherwise)
{
    vic_value_option(L, index, name);
    return luaL_optinteger(L, -1, otherwise);
}

/*
 * xml.parse(text, opts) -> node | nil, err
 *
 *   text            string   UTF-8, whatever its declaration says
 *   opts.max_size   bytes                                       (default 16 MiB)
 *   opts.max_depth  integer  elements within elements           (default 128)
 *   opts.what       string   its name in messages               (default "XML")
 *   node            table    the root element
 *     .name         string   without prefix
 *     .ns           string   namespace URI, "" for none
 *     .attrs        table    name -> value; "{uri}name" if it has a namespace; read only
 *     .text         string   its own text, without that of its children
 *     [1] ...       node     its children
 *   err             format   "what:line:column: reason": not XML, an undeclared prefix,
 *                            a DOCTYPE, not UTF-8, too deep, over 500 000 elements
 *
 * Comments and processing instructions are left out.
 * Source: XML 1.0, Namespaces in XML 1.0.
 */
static int l_xml_parse(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    lua_Integer max_size = option_integer(L, 2, "max_size", MAX_SIZE);
    lua_Integer max_depth = option_integer(L, 2, "max_depth", MAX_DEPTH);
    const char *what;
    struct reader *r;

    vic_value_option(L, 2, "what");
    what = luaL_optstring(L, -1, "XML");
    r = new_reader(L);
    r->what = what;
    r->max_depth = max_depth;
    push_no_attributes(L);
    r->no_attributes = lua_gettop(L);
    if (!check_text(r, text, len, max_size) || !read_all(r, text, len))
        return vic_fail_error(L, &r->err);
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
            return vic_fail(L, "invalid", "the control character 0x%02x cannot be put into "
                                          "XML",
                            (unsigned char)s[i]);
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
        { "parse", l_xml_parse },           { "child", l_xml_child },
        { "children", l_xml_children },     { "child_text", l_xml_child_text },
        { "type", l_xml_type },             { "escape", l_xml_escape },
        { NULL, NULL },
    };

    xmlInitParser();
    luaL_newlib(L, functions);
    return 1;
}
