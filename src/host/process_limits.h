/*
 * process_limits: opts.limits of process.run(), and what of the kernel's they take.
 */
#ifndef VIC_PROCESS_LIMITS_H
#define VIC_PROCESS_LIMITS_H

#include "error.h"

#include <lua.h>

/* What to put before the program that the options at 1 are of (confine.h); NULL where they
 * have no limits. -1: the kernel cannot confine it as is required. Throws for what is no
 * option. */
int vic_process_launcher(lua_State *L, const char *program, char ***launcher,
                         struct vic_error *err);

/* Adds the functions of confinement to the module on top. */
void vic_process_add_confinement(lua_State *L);

#endif
