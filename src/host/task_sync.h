/*
 * task_sync: what host.task has besides tasks.
 */
#ifndef VIC_TASK_SYNC_H
#define VIC_TASK_SYNC_H

#include <lua.h>
#include <stdbool.h>

/* Adds sleep, semaphore, signal and on_stop to the table on top. */
void vic_task_sync_register(lua_State *L);

/* The process is asked to end: tells whoever has called task.on_stop(). False: nobody. */
bool vic_task_stop(void);

#endif
