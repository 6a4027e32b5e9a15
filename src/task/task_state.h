/*
 * task_state: what a task is, for its own files: task.c, which runs it, task_failure.c, which
 * says why it has failed, and task_list.c, which shows it.
 */
#ifndef VIC_TASK_STATE_H
#define VIC_TASK_STATE_H

#include "task.h"

struct vic_sync;
struct vic_wait;

struct vic_task {
    lua_State *co;
    int ref;     /* of co in the registry */
    int results; /* values on top of co once it has returned */
    unsigned refs;
    unsigned goodbyes;       /* not yet settled ones */
    struct vic_task *parent; /* whose goodbye this is */
    struct vic_task *next_ready;
    struct vic_task *prev, *next; /* all that are not settled */
    struct vic_sync *settled;     /* wakes who waits for the end */
    char *name;
    char *label;                 /* for whom it works, or NULL */
    const struct vic_wait *wait; /* what it waits for, or NULL */
    double since;                /* vic_now(): when it began what it does */
    bool started, queued, waiting, cancel, done, ok, is_settled;
    bool is_goodbye; /* exit does not cancel it */
    bool observed;   /* somebody asked for the result */
};

/* The state whose coroutines they are. */
lua_State *vic_task_state(void);

/* All that are not settled, the latest first. */
struct vic_task *vic_task_latest(void);

#endif
