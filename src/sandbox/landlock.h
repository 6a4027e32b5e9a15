/*
 * landlock: the calling thread, and what it starts, may use these files and no others.
 *
 * Without libraries: neither Debian 12's headers nor its libc know of all that newer
 * kernels can refuse. No Lua.
 */
#ifndef VIC_LANDLOCK_H
#define VIC_LANDLOCK_H

#include <stddef.h>

enum vic_landlock_use {
    VIC_LANDLOCK_READ,      /* a file */
    VIC_LANDLOCK_WRITE,     /* a file that is there: read, write, cut */
    VIC_LANDLOCK_RUN,       /* a program */
    VIC_LANDLOCK_LIBRARIES, /* a folder or file, if it is there: read, run */
};

struct vic_landlock_rule {
    const char *path;
    enum vic_landlock_use use;
};

/* What the kernel offers: 0 for none. */
int vic_landlock_version(void);

/* All but what the rules name is refused from now on: files, TCP, signals and abstract
 * sockets of others, as far as the kernel can. -1: errno; then nothing has changed. Wants
 * PR_SET_NO_NEW_PRIVS. */
int vic_landlock_apply(const struct vic_landlock_rule *rules, size_t count);

#endif
