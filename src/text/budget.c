/*
 * budget: see budget.h.
 */
#include "budget.h"

#include <stdio.h>

bool vic_budget_take(struct vic_budget *budget, size_t bytes)
{
    if (bytes > budget->most - budget->taken)
        return false;
    budget->taken += bytes;
    return true;
}

bool vic_budget_string(struct vic_budget *budget, size_t len)
{
    return vic_budget_take(budget, VIC_BUDGET_STRING) && vic_budget_take(budget, len);
}

void vic_budget_reason(const struct vic_budget *budget, char *reason, size_t size)
{
    snprintf(reason, size, "takes more than %zu KiB of memory", budget->most / 1024);
}
