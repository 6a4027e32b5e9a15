/*
 * renewal: what every request for a disk's stream carries, as it is at the time. Whoever
 * keeps them may replace them: a token may end while a disk comes for hours.
 *
 * Any thread.
 */
#ifndef VIC_RENEWAL_H
#define VIC_RENEWAL_H

#include <stdbool.h>

struct curl_slist;
struct vic_renewal;

/* None yet, and one reference, the maker's. */
struct vic_renewal *vic_renewal_new(void);
struct vic_renewal *vic_renewal_ref(struct vic_renewal *renewal); /* NULL: NULL */
void vic_renewal_unref(struct vic_renewal *renewal);

/* From now on these: "Name: value", the last one NULL. Copied. */
void vic_renewal_set(struct vic_renewal *renewal, const char *const *list);

/* `list` with the present ones behind it. *generation: how often they were set. */
struct curl_slist *vic_renewal_append(struct vic_renewal *renewal,
                                      struct curl_slist *list, unsigned *generation);
unsigned vic_renewal_generation(struct vic_renewal *renewal);

/* A server does not take those of that generation; whether it is the present one. */
void vic_renewal_refuse(struct vic_renewal *renewal, unsigned generation);
bool vic_renewal_refused(struct vic_renewal *renewal);

#endif
