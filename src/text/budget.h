/*
 * budget: the memory that a document may take once it is parsed, counted while it is
 * read: what a few bytes of text become is many times as large.
 *
 * The sizes are those of Lua 5.4 on 64 bits with what malloc adds, and room for a table
 * that is about to grow. What is refused has never been more than its budget.
 */
#ifndef VIC_BUDGET_H
#define VIC_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

#define VIC_BUDGET_TABLE  72u /* an empty one */
#define VIC_BUDGET_ITEM   32u /* of a list */
#define VIC_BUDGET_FIELD  56u /* of a map */
#define VIC_BUDGET_STRING 40u /* without its bytes */

struct vic_budget {
    size_t most;
    size_t taken;
};

/* Takes so many bytes; false: there are not so many left, and none was taken. */
bool vic_budget_take(struct vic_budget *budget, size_t bytes);

/* A string of that length, as vic_budget_take(). */
bool vic_budget_string(struct vic_budget *budget, size_t len);

/* Why vic_budget_take() said no: "takes more than 1024 KiB of memory". */
void vic_budget_reason(const struct vic_budget *budget, char *reason, size_t size);

#endif
