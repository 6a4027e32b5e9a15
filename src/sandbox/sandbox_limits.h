/*
 * sandbox_limits: what the kernel refuses the process that runs site scripts.
 *
 * Lua gives a script no way to ask for any of it; this stands behind Lua.
 */
#ifndef VIC_SANDBOX_LIMITS_H
#define VIC_SANDBOX_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

/* From now on, for good: no descriptors but 0 and 1, no new process, file or socket,
 * at most `memory` bytes more than now; dies with its parent. False: the kernel did not
 * do all that it should; the rest holds. */
bool vic_sandbox_limit(size_t memory);

#endif
