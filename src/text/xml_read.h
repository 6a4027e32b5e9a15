/*
 * xml_read: XML as Lua tables.
 */
#ifndef VIC_XML_READ_H
#define VIC_XML_READ_H

#include <lua.h>
#include <stddef.h>

struct vic_error;

struct vic_xml_limits {
    size_t size;   /* bytes */
    size_t depth;  /* elements within elements */
    size_t memory; /* bytes that what is pushed may take */
};

/* Pushes the node of the root; its shape is told in xml.c. -1 and *err (kind format,
 * "what:line:column: reason") if the text is not sound. */
int vic_xml_read(lua_State *L, const char *text, size_t len,
                 const struct vic_xml_limits *limits, const char *what,
                 struct vic_error *err);

#endif
