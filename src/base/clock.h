/*
 * clock: what time has passed, by clocks that nobody sets. Any thread.
 */
#ifndef VIC_CLOCK_H
#define VIC_CLOCK_H

#include <pthread.h>
#include <time.h>

/* Seconds by a clock of clock_gettime(). */
double vic_clock(clockid_t clock);

/* Seconds by CLOCK_MONOTONIC: it stands still while the machine sleeps. */
double vic_now(void);

/* The same as a condition of vic_cond_init() takes it. */
struct timespec vic_clock_timespec(double seconds);

/* A condition that is waited for by CLOCK_MONOTONIC. */
void vic_cond_init(pthread_cond_t *cond);

#endif
