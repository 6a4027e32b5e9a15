#include "pace.h"

#include <inttypes.h>

#define NEVER 1e9 /* seconds */

void vic_pace_begin(struct vic_pace *pace, double now)
{
    pace->began = now;
    pace->held = 0;
    pace->bytes = 0;
}

void vic_pace_took(struct vic_pace *pace, size_t bytes, double held)
{
    pace->bytes += bytes;
    pace->held += held;
}

double vic_pace_left(const struct vic_pace *pace, double now)
{
    return pace->least > 0 ? pace->began + pace->held + pace->over - now : NEVER;
}

int vic_pace_check(struct vic_pace *pace, double now, struct vic_error *err)
{
    uint64_t bytes = pace->bytes;

    if (vic_pace_left(pace, now) > 0)
        return 0;
    vic_pace_begin(pace, now);
    if ((double)bytes >= pace->least * pace->over)
        return 0;
    return vic_error_set(err, VIC_TIMEOUT,
                         "%" PRIu64
                         " bytes came in %g s, less than the %g bytes a second "
                         "that a disk must have (spec.leastRate, --least-rate)",
                         bytes, pace->over, pace->least);
}
