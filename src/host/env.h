/*
 * env: the one thing that main tells host.env.
 */
#ifndef VIC_ENV_H
#define VIC_ENV_H

/* The arguments of the process, which outlive every Lua state. */
void vic_env_args(int argc, char **argv);

#endif
