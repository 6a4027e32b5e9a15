/*
 * job: something short that blocks, done on libuv's pool of threads while the task
 * that asked for it waits. The pool is small: long work gets a thread of its own.
 */
#ifndef VIC_JOB_H
#define VIC_JOB_H

#include "error.h"
#include "wait.h"

#include <lua.h>
#include <uv.h>

#include <stdatomic.h>
#include <stdbool.h>

/* The first member of what the job works on. */
struct vic_job {
    struct vic_wait wait;
    uv_work_t work;
    atomic_bool stop; /* nobody waits any more: the worker should hurry */
    bool failed;
    struct vic_error err;

    int (*run)(struct vic_job *job); /* on a worker thread; -1: err is set */
    int (*push)(lua_State *L, struct vic_job *job); /* the results; NULL: true */
    void (*free)(struct vic_job *job);
};

/* Hands `job`, whose three functions are set, to the box, which frees it from now on. What
 * it does is put into job->wait.what by whoever makes it. */
void vic_job_box(struct vic_wait **box, struct vic_job *job);

/* Use as `return vic_job_start(...)`: nil, err, or what push() says. */
int vic_job_start(lua_State *L, struct vic_wait **box);

#endif
