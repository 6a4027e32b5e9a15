/*
 * error: what a failing engine says. A plain struct on the caller's stack;
 * nobody owns it. It is written only on failure, and on every failure.
 *
 * The message says what was attempted and on what:
 * "GET https://vc/sdk: timed out after 30 s".
 */
#ifndef VIC_ERROR_H
#define VIC_ERROR_H

/* The closed list of kinds; Lua sees the lower-case names (err.kind). */
enum vic_error_kind {
    VIC_TIMEOUT,     /* it took too long */
    VIC_CONNECT,     /* no connection, or it broke */
    VIC_DNS,         /* the name does not resolve */
    VIC_TLS,         /* the certificate is not accepted, or the handshake failed */
    VIC_HTTP,        /* an answer that is not what HTTP or the caller allows */
    VIC_IO,          /* files */
    VIC_FORMAT,      /* bytes that are not what they should be */
    VIC_EXIT,        /* a subprocess ended badly */
    VIC_CONFLICT,    /* somebody else changed it first */
    VIC_GONE,        /* it is not there any more, or no longer known */
    VIC_INVALID,     /* an input that the user must change */
    VIC_NOTFOUND,    /* no such thing */
    VIC_DENIED,      /* wrong credentials, or not allowed */
    VIC_UNSUPPORTED, /* this cannot be done here */
    VIC_CANCELLED,   /* somebody asked to stop */
    VIC_NOSPACE,     /* the disk is full */
    VIC_BUSY,        /* somebody else holds it */
    VIC_INTERNAL,    /* our own fault */
};

struct vic_error {
    enum vic_error_kind kind;
    char message[1024];
};

/* Fills *err. Always -1, so that a caller can return it. */
int vic_error_set(struct vic_error *err, enum vic_error_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As vic_error_set, with ": " and the text of errno `number` after the message;
 * the kind is nospace, denied, notfound or io by that number. */
int vic_error_errno(struct vic_error *err, int number, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "text: " before the message. Always -1. */
int vic_error_wrap(struct vic_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The name that Lua sees: "timeout", "connect" ... */
const char *vic_error_kind_name(enum vic_error_kind kind);

/* The kind of a name, or VIC_INTERNAL. */
enum vic_error_kind vic_error_kind_of(const char *name);

#endif
