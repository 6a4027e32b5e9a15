/*
 * log: one event per line on stderr, of at most 8 KiB, written at once, so that lines of
 * several threads do not mix. Any thread.
 *
 * JSON {"time", "level", "message", fields ...}; text if stderr is a terminal. Secrets
 * have no place in it.
 */
#ifndef VIC_LOG_H
#define VIC_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum vic_log_level { VIC_LOG_DEBUG, VIC_LOG_INFO, VIC_LOG_WARN, VIC_LOG_ERROR };

/* A field as it was encoded for us; both point to the caller's memory. */
struct vic_log_field {
    const char *name;
    size_t name_len;
    const char *json; /* a JSON value */
    size_t json_len;
};

/* One event. */
void vic_log(enum vic_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The same with fields. One that is too long is cut to text; those for which the line
 * has no room are left out, and "truncated" says so. */
void vic_log_event(enum vic_log_level level, const char *message, size_t len,
                   const struct vic_log_field *fields, size_t count);

/* Whether events of this level are written: all but debug, or all with DEBUG=true. */
bool vic_log_enabled(enum vic_log_level level);

#endif
