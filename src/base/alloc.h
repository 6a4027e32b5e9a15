/*
 * alloc: memory, or the end of the process. Nothing here returns NULL.
 *
 * Any thread. What is returned is freed with free().
 */
#ifndef VIC_ALLOC_H
#define VIC_ALLOC_H

#include <stddef.h>

/* `size` bytes, all zero. */
void *vic_alloc(size_t size) __attribute__((returns_nonnull));

/* As realloc(); what is added is not cleared. */
void *vic_realloc(void *p, size_t size) __attribute__((returns_nonnull));

/* A copy of the text; NULL gives NULL. */
char *vic_strdup(const char *text);

/* A NUL-terminated copy of the first `len` bytes. */
char *vic_strndup(const char *text, size_t len);

#endif
