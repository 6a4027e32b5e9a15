/*
 * xml_read: libxml2's reader, a node at a time.
 *
 * The reader sits in a userdata, so a throw in the middle leaks nothing, and there is
 * never a second tree of the whole text. libxml2 itself refuses names, texts and
 * attributes over 10 MB.
 */
#include "xml_read.h"

#include "budget.h"
#include "error.h"
#include "text.h"
#include "xml_check.h"

#include <lauxlib.h>
#include <libxml/xmlreader.h>

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define READER_TYPE   "vic.xml.reader"
#define NO_ATTRIBUTES "host.xml.none"
#define MOST_URI      1024 /* bytes: every name of that namespace has a copy */
#define FIELDS        4    /* of a node: name, ns, attrs, text */
#define XMLNS         "http://www.w3.org/2000/xmlns/"

#if LIBXML_VERSION >= 21200
typedef const xmlError *xml_error_ptr;
#else
typedef xmlErrorPtr xml_error_ptr;
#endif

struct reader {
    lua_State *L;
    xmlTextReaderPtr xml;
    const char *what;
    struct vic_error *err;
    bool failed;       /* *err is set */
    int no_attributes; /* stack index of the table that all nodes without any share */
    size_t max_depth;
    struct vic_budget budget;
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
static bool xml_fail_at(struct reader *r, int line, int column, const char *reason)
{
    if (!r->failed)
        vic_error_set(r->err, VIC_FORMAT, "%s:%d:%d: %s", r->what, line, column, reason);
    r->failed = true;
    return false;
}

static bool xml_fail(struct reader *r, const char *reason)
{
    return xml_fail_at(r, xmlTextReaderGetParserLineNumber(r->xml),
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
        xml_fail_at(data, error->line, error->int2,
                    "the document ends inside an element, or goes on after the root");
        return;
    }
    snprintf(reason, sizeof(reason), "%s", error->message ? error->message : "not XML");
    len = strcspn(reason, "\n");
    reason[len] = '\0';
    xml_fail_at(data, error->line, error->int2, reason);
}

static bool over_budget(struct reader *r)
{
    char reason[80];

    vic_budget_reason(&r->budget, reason, sizeof(reason));
    return xml_fail(r, reason);
}

static size_t length_of(const xmlChar *text)
{
    return text ? strlen((const char *)text) : 0;
}

/* Takes what a node or an attribute costs that the reader is at: `bytes`, its name with
 * its namespace, and its value. */
static bool xml_afford(struct reader *r, size_t bytes)
{
    size_t uri = length_of(xmlTextReaderConstNamespaceUri(r->xml));
    size_t name = length_of(xmlTextReaderConstLocalName(r->xml));
    size_t value = length_of(xmlTextReaderConstValue(r->xml));

    if (uri > MOST_URI)
        return xml_fail(r, "a namespace URI of more than 1024 bytes");
    return (vic_budget_take(&r->budget, bytes) &&
            vic_budget_string(&r->budget, uri + name) &&
            vic_budget_string(&r->budget, value)) ||
           over_budget(r);
}

/* Pushes the attribute that the reader is at: [key, value]. */
static bool push_attribute(struct reader *r)
{
    const char *uri = (const char *)xmlTextReaderConstNamespaceUri(r->xml);
    const char *name = (const char *)xmlTextReaderConstLocalName(r->xml);

    /* The URI is there once more while the key is made. */
    if (!xml_afford(r, VIC_BUDGET_FIELD + length_of((const xmlChar *)uri)))
        return false;
    if (uri)
        lua_pushfstring(r->L, "{%s}%s", uri, name);
    else
        lua_pushstring(r->L, name);
    lua_pushstring(r->L, (const char *)xmlTextReaderConstValue(r->xml));
    return true;
}

/* Pushes the attributes of the element that the reader is at, but its namespaces. */
static bool push_attributes(struct reader *r)
{
    bool any = false;

    while (xmlTextReaderMoveToNextAttribute(r->xml) == 1) {
        const char *uri = (const char *)xmlTextReaderConstNamespaceUri(r->xml);

        if (uri && strcmp(uri, XMLNS) == 0)
            continue;
        if (!any && !vic_budget_take(&r->budget, VIC_BUDGET_TABLE))
            return over_budget(r);
        if (!any)
            lua_newtable(r->L);
        any = true;
        if (!push_attribute(r))
            return false;
        lua_rawset(r->L, -3);
    }
    if (!any)
        lua_pushvalue(r->L, r->no_attributes);
    xmlTextReaderMoveToElement(r->xml);
    return true;
}

static void set_string(lua_State *L, const char *key, const xmlChar *value)
{
    lua_pushstring(L, value ? (const char *)value : "");
    lua_setfield(L, -2, key);
}

/* An open element is two slots of the stack: its node and its texts, a string or,
 * from the second one on, a list of strings. */
static bool push_element(struct reader *r)
{
    if (!xml_afford(r, VIC_BUDGET_TABLE + FIELDS * VIC_BUDGET_FIELD + VIC_BUDGET_ITEM))
        return false;
    luaL_checkstack(r->L, 12, "reading XML");
    lua_createtable(r->L, 0, FIELDS);
    set_string(r->L, "name", xmlTextReaderConstLocalName(r->xml));
    set_string(r->L, "ns", xmlTextReaderConstNamespaceUri(r->xml));
    if (!push_attributes(r))
        return false;
    lua_setfield(r->L, -2, "attrs");
    lua_pushliteral(r->L, "");
    return true;
}

/* Adds the text that the reader is at to the innermost open element, where it is joined
 * with the others: it is there twice then. */
static bool xml_add_text(struct reader *r)
{
    const char *text = (const char *)xmlTextReaderConstValue(r->xml);
    lua_State *L = r->L;

    if (!text || !*text)
        return true;
    if (!vic_budget_string(&r->budget, 2 * strlen(text) + VIC_BUDGET_ITEM))
        return over_budget(r);
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
    return true;
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

    if ((size_t)depth >= r->max_depth)
        return xml_fail(r, "nested too deep");
    if (!push_element(r))
        return false;
    if (xmlTextReaderIsEmptyElement(r->xml))
        end_element(r, depth == 0);
    return true;
}

/* Handles the node that the reader is at. */
static bool xml_read_node(struct reader *r)
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
        return xml_add_text(r);
    case XML_READER_TYPE_COMMENT:
    case XML_READER_TYPE_PROCESSING_INSTRUCTION:
    case XML_READER_TYPE_XML_DECLARATION:
        return true;
    default:
        return xml_fail(r, "only elements and text are taken");
    }
}

/* Fails at the byte `at` of the text. */
static bool xml_fail_byte(struct reader *r, const char *text, size_t at,
                          const char *reason)
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
    return xml_fail_at(r, line, column, reason);
}

/* Texts that are refused without being read: too large, not UTF-8, a DOCTYPE. */
static bool check_text(struct reader *r, const char *text, size_t len, size_t max_size)
{
    size_t valid = vic_utf8_valid(text, len);
    const char *reason;
    size_t at;

    if (max_size > INT_MAX)
        max_size = INT_MAX;
    if (len > max_size) {
        vic_error_set(r->err, VIC_FORMAT, "%s: more than %zu bytes", r->what, max_size);
        return false;
    }
    if (valid < len)
        return xml_fail_byte(r, text, valid, "text that is not UTF-8");
    reason = vic_xml_check(text, len, &at);
    return !reason || xml_fail_byte(r, text, at, reason);
}

/* Pushes the root's node. */
static bool xml_read_all(struct reader *r, const char *text, size_t len)
{
    int more;

    r->xml =
        xmlReaderForMemory(text, (int)len, NULL, "UTF-8",
                           XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                               XML_PARSE_IGNORE_ENC | XML_PARSE_COMPACT);
    if (!r->xml)
        luaL_error(r->L, "out of memory");
    xmlTextReaderSetStructuredErrorHandler(r->xml, on_error, r);
    while ((more = xmlTextReaderRead(r->xml)) == 1 && !r->failed)
        if (!xml_read_node(r))
            return false;
    if (more != 0 && !r->failed)
        return xml_fail(r, "not XML");
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
    if (luaL_newmetatable(L, NO_ATTRIBUTES)) {
        lua_pushcfunction(L, l_read_only);
        lua_setfield(L, -2, "__newindex");
    }
    lua_setmetatable(L, -2);
}

int vic_xml_read(lua_State *L, const char *text, size_t len,
                 const struct vic_xml_limits *limits, const char *what,
                 struct vic_error *err)
{
    struct reader *r = new_reader(L);

    r->what = what;
    r->err = err;
    r->max_depth = limits->depth;
    r->budget.most = limits->memory;
    push_no_attributes(L);
    r->no_attributes = lua_gettop(L);
    if (!check_text(r, text, len, limits->size) || !xml_read_all(r, text, len))
        return -1;
    return 0;
}
