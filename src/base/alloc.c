/*
 * alloc: a pod that is out of memory is ended by the kernel anyway; ending here
 * leaves no error path that nobody ever ran.
 */
#include "alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *alloc_check(void *p, size_t size)
{
    if (!p) {
        fprintf(stderr, "out of memory: %zu bytes\n", size);
        abort();
    }
    return p;
}

void *vic_alloc(size_t size)
{
    return alloc_check(calloc(1, size ? size : 1), size);
}

void *vic_realloc(void *p, size_t size)
{
    return alloc_check(realloc(p, size ? size : 1), size);
}

char *vic_strdup(const char *text)
{
    return text ? vic_strndup(text, strlen(text)) : NULL;
}

char *vic_strndup(const char *text, size_t len)
{
    char *copy = vic_alloc(len + 1);

    memcpy(copy, text, len);
    return copy;
}
