/*
 * confine: programs that read hostile files run with less: so much memory, time and file,
 * few system calls (confine_calls.h), and no file but those named. It ends with its parent.
 *
 * All of that is done by the process itself before it becomes the program: this program is
 * started anew with `vic_confine_launcher()` in front of the other's arguments.
 */
#ifndef VIC_CONFINE_H
#define VIC_CONFINE_H

#include "confinement.h"

#include <stdbool.h>
#include <stddef.h>

#define VIC_CONFINE_MISSING 127 /* exit code: there is no such program */

struct vic_confine {
    size_t memory;               /* bytes of addresses */
    size_t cpu;                  /* seconds */
    size_t file_size;            /* bytes of each file it writes */
    char **read;                 /* files, besides itself and the system's libraries; */
    char **write;                /* that are there. Ended by NULL, or NULL: none */
    struct vic_confinement with; /* what the kernel offers */
};

/* What to put before the program and its arguments: ended by NULL, to be freed, the list
 * and each of its strings. 0 limits nothing. */
char **vic_confine_launcher(const struct vic_confine *limits);

/* Whether that is how this process was started; then vic_confine_run() ends it. */
bool vic_confine_asked(int argc, char **argv);

/* Becomes the program; returns an exit code if it cannot. */
int vic_confine_run(int argc, char **argv);

#endif
