/*
 * log: one event per line on stderr. Any thread.
 */
#ifndef VIC_LOG_H
#define VIC_LOG_H

enum vic_log_level { VIC_LOG_DEBUG, VIC_LOG_INFO, VIC_LOG_WARN, VIC_LOG_ERROR };

/* One line; secrets have no place in it. */
void vic_log(enum vic_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
