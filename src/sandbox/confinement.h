/*
 * confinement: what the kernel offers to confine our helpers with, and what of it must be
 * there for them to be started at all.
 *
 * No Lua. On the loop's thread.
 */
#ifndef VIC_CONFINEMENT_H
#define VIC_CONFINEMENT_H

#include "error.h"

#include <stdbool.h>

struct vic_confinement {
    bool seccomp;
    bool landlock;
};

/* What there is here. */
struct vic_confinement vic_confinement_offered(void);

/* From now on what lacks one of these is refused; before, nothing is. */
void vic_confinement_require(struct vic_confinement required);

/* May `what` be started, which `wants` these? -1: it may not. What is missing, and not
 * required, is said in the log once. */
int vic_confinement_check(const char *what, struct vic_confinement wants,
                          struct vic_error *err);

#endif
