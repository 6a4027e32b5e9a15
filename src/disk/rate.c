#include "rate.h"

#include "clock.h"

#define EVERY 0.5 /* seconds that are looked at as one */

double vic_rate_update(struct vic_rate *rate, uint64_t count)
{
    double now = vic_now();
    double passed = now - rate->at;

    if (rate->at == 0 || count < rate->count) {
        rate->value = 0;
    } else if (passed < EVERY) {
        return rate->value;
    } else {
        double recent = (double)(count - rate->count) / passed;

        rate->value = rate->value > 0 ? 0.6 * rate->value + 0.4 * recent : recent;
    }
    rate->at = now;
    rate->count = count;
    return rate->value;
}
