/*
 * Fuzz target: what a taken-over process of site scripts answers (script.lua).
 */
#include "lua_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return lua_host_run("script", "script", data, size);
}
