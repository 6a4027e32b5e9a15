/*
 * error: filling struct vic_error. A message that is too long is cut, never refused.
 */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const NAMES[] = {
    [VIC_TIMEOUT] = "timeout",
    [VIC_CONNECT] = "connect",
    [VIC_DNS] = "dns",
    [VIC_TLS] = "tls",
    [VIC_HTTP] = "http",
    [VIC_IO] = "io",
    [VIC_FORMAT] = "format",
    [VIC_EXIT] = "exit",
    [VIC_CONFLICT] = "conflict",
    [VIC_GONE] = "gone",
    [VIC_INVALID] = "invalid",
    [VIC_NOTFOUND] = "notfound",
    [VIC_DENIED] = "denied",
    [VIC_UNSUPPORTED] = "unsupported",
    [VIC_CANCELLED] = "cancelled",
    [VIC_NOSPACE] = "nospace",
    [VIC_BUSY] = "busy",
    [VIC_INTERNAL] = "internal",
};

#define KINDS (sizeof(NAMES) / sizeof(NAMES[0]))

static enum vic_error_kind kind_of_errno(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return VIC_NOSPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        return VIC_DENIED;
    case ENOENT:
        return VIC_NOTFOUND;
    case ECANCELED:
        return VIC_CANCELLED;
    default:
        return VIC_IO;
    }
}

int vic_error_set(struct vic_error *err, enum vic_error_kind kind, const char *fmt, ...)
{
    va_list ap;

    err->kind = kind;
    va_start(ap, fmt);
    vsnprintf(err->message, sizeof(err->message), fmt, ap);
    va_end(ap);
    return -1;
}

int vic_error_errno(struct vic_error *err, int number, const char *fmt, ...)
{
    va_list ap;
    size_t len;

    err->kind = kind_of_errno(number);
    va_start(ap, fmt);
    vsnprintf(err->message, sizeof(err->message), fmt, ap);
    va_end(ap);
    len = strlen(err->message);
    snprintf(err->message + len, sizeof(err->message) - len, ": %s", strerror(number));
    return -1;
}

int vic_error_wrap(struct vic_error *err, const char *fmt, ...)
{
    char before[sizeof(err->message)];
    char inner[sizeof(err->message)];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(before, sizeof(before), fmt, ap);
    va_end(ap);
    memcpy(inner, err->message, sizeof(inner));
    if (snprintf(err->message, sizeof(err->message), "%.500s: %s", before, inner) < 0)
        err->message[0] = '\0';
    return -1;
}

const char *vic_error_kind_name(enum vic_error_kind kind)
{
    return (size_t)kind < KINDS ? NAMES[kind] : NAMES[VIC_INTERNAL];
}

enum vic_error_kind vic_error_kind_of(const char *name)
{
    size_t i;

    for (i = 0; i < KINDS; i++)
        if (strcmp(NAMES[i], name) == 0)
            return (enum vic_error_kind)i;
    return VIC_INTERNAL;
}
