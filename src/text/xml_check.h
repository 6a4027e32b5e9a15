/*
 * xml_check: what is refused before libxml2 sees a text.
 *
 * Pure: no Lua, no memory. It need not find what is wrong with a text that is not
 * well-formed: libxml2 stops at the first such place, and up to there the two see the
 * same.
 */
#ifndef VIC_XML_CHECK_H
#define VIC_XML_CHECK_H

#include <stddef.h>

/* NULL, or why the text is refused; *at is the byte where it begins: a DOCTYPE, whose
 * declarations libxml2 would read; an element with more attributes than it can compare
 * in decent time. */
const char *vic_xml_check(const char *text, size_t len, size_t *at);

#endif
