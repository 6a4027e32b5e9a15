/*
 * scalar: what a plain (unquoted) YAML scalar means to Kubernetes.
 *
 * Its API server and kubectl read YAML 1.1 with go-yaml v2's rules; these are they.
 * Pure: no Lua, no memory.
 */
#ifndef VIC_SCALAR_H
#define VIC_SCALAR_H

#include <stdbool.h>
#include <stddef.h>

enum vic_scalar_kind {
    VIC_SCALAR_TEXT,
    VIC_SCALAR_NULL,
    VIC_SCALAR_BOOLEAN,
    VIC_SCALAR_INTEGER,
    VIC_SCALAR_FLOAT,   /* finite */
    VIC_SCALAR_TOO_BIG, /* an integer beyond 64 bits with sign */
    VIC_SCALAR_SPECIAL, /* .inf or .nan */
};

struct vic_scalar {
    enum vic_scalar_kind kind;
    bool boolean;
    long long integer;
    double number;
};

/* The value that the scalar stands for; `text` is NUL-terminated after its `len` bytes.
 * Source: sigs.k8s.io/yaml, goyaml.v2/resolve.go. */
struct vic_scalar vic_scalar_resolve(const char *text, size_t len);

/* Whether every YAML reader we know takes the unquoted text for this very string:
 * narrower than vic_scalar_resolve, for writing. */
bool vic_scalar_plain(const char *text, size_t len);

#endif
