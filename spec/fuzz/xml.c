/*
 * Fuzz target: XML from outside (text.lua).
 */
#include "lua_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return lua_host_run("text", "xml", data, size);
}
