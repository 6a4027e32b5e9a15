/*
 * magic: disk image formats by their first bytes.
 */
#ifndef VIC_MAGIC_H
#define VIC_MAGIC_H

#include "error.h"

#include <stddef.h>

/* The name of the format that begins so, or NULL. */
const char *vic_magic_name(const unsigned char *data, size_t size);

/* Refuses the first bytes of a raw disk that are another format's. A guest can write
 * such a header onto its own disk, and whoever probes the image later would follow
 * the names in it: backing files, extents. */
int vic_magic_refuse(const unsigned char *data, size_t size, struct vic_error *err);

#endif
