/*
 * confine_calls: the system calls that are left to a program that reads hostile files.
 */
#ifndef VIC_CONFINE_CALLS_H
#define VIC_CONFINE_CALLS_H

#include <stdbool.h>

/* All but these fail from now on: files by name, memory, threads, waiting, and becoming
 * the program whose name stands at this address. false: there is no filter. */
bool vic_confine_calls(const char *program);

#endif
