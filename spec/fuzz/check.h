/*
 * check: what must hold in a fuzz target, whatever the input.
 */
#ifndef VIC_FUZZ_CHECK_H
#define VIC_FUZZ_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(what)                                                                      \
    do {                                                                                 \
        if (!(what)) {                                                                   \
            fprintf(stderr, "not true: %s\n", #what);                                    \
            abort();                                                                     \
        }                                                                                \
    } while (0)

#endif
