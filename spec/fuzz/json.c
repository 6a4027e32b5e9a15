/*
 * Fuzz target: JSON from outside (text.h).
 */
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return text_run("json", data, size);
}
