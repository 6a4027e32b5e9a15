/*
 * xml_check: one pass over the mark-up, text is skipped.
 */
#include "xml_check.h"

#include <stdbool.h>
#include <string.h>

#define MOST_ATTRIBUTES 256 /* libxml2 compares each with each */

/* If `*s` begins with the mark, moves past the end mark, or to the end. */
static bool skip_between(const char **s, const char *end, const char *mark,
                         const char *close)
{
    size_t len = strlen(mark);
    const char *found;

    if ((size_t)(end - *s) < len || memcmp(*s, mark, len) != 0)
        return false;
    found = memmem(*s + len, (size_t)(end - *s) - len, close, strlen(close));
    *s = found ? found + strlen(close) : end;
    return true;
}

/* At the "<" of a tag: moves past its ">". Whether it has few enough attributes. */
static bool skip_tag(const char **s, const char *end)
{
    int attributes = 0;

    for (; *s < end && **s != '>'; ++*s) {
        const char *quote = *s;

        if (*quote != '"' && *quote != '\'')
            continue;
        if (++attributes > MOST_ATTRIBUTES)
            return false;
        *s = memchr(quote + 1, *quote, (size_t)(end - quote - 1));
        if (!*s) {
            *s = end;
            return true;
        }
    }
    return true;
}

const char *vic_xml_check(const char *text, size_t len, size_t *at)
{
    const char *end = text + len;
    const char *s = text;

    while ((s = memchr(s, '<', (size_t)(end - s)))) {
        *at = (size_t)(s - text);
        if (skip_between(&s, end, "<?", "?>") || skip_between(&s, end, "<!--", "-->") ||
            skip_between(&s, end, "<![CDATA[", "]]>"))
            continue;
        if (end - s > 1 && s[1] == '!')
            return "a DOCTYPE is not taken";
        if (!skip_tag(&s, end))
            return "more than 256 attributes";
    }
    return NULL;
}
