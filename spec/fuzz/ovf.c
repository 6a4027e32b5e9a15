/*
 * Fuzz target: an OVF, read to a Machine (ovf.lua).
 */
#include "lua_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return lua_host_run("ovf", "ovf", data, size);
}
