/*
 * Fuzz target: a kubeconfig, and what its plugin prints (kubeconfig.lua).
 */
#include "lua_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return lua_host_run("kubeconfig", "kubeconfig", data, size);
}
