#include "log.h"

#include <stdarg.h>
#include <stdio.h>

void vic_log(enum vic_log_level level, const char *fmt, ...)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    char line[2048];
    va_list ap;

    if (level == VIC_LOG_DEBUG)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    fprintf(stderr, "%s: %s\n", names[level], line);
}
