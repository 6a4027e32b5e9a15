/*
 * task_failure: what a task has failed with, and that it is heard of.
 */
#ifndef VIC_TASK_FAILURE_H
#define VIC_TASK_FAILURE_H

#include "task_state.h"

/* Turns a thrown string on top of co into an err with the traceback. */
void vic_task_explain(lua_State *co);

/* Logs a failure that nobody ever asked for: it must not pass in silence. */
void vic_task_report(struct vic_task *t);

#endif
