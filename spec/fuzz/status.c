/*
 * Fuzz target: a plan, and what others' objects say, as a status has them (status.lua).
 */
#include "lua_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return lua_host_run("status", "status", data, size);
}
