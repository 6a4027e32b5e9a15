/*
 * task: coroutines that wait. The one place that resumes them.
 *
 * A task is resumed only from the loop's ready list, never from inside another
 * task; so cancelling, waking and spawning only mark and queue. A task is settled
 * when it has ended, what it held is closed and is gone (vic_task_hold), and the
 * goodbyes spawned by its closing values are settled too.
 *
 * Loop thread only. Counted: a handle in Lua, the ready list and a goodbye's
 * parent each hold a reference.
 */
#ifndef VIC_TASK_H
#define VIC_TASK_H

#include <lua.h>
#include <stdbool.h>

struct vic_sync;
struct vic_task;

/* Makes this state's coroutines tasks. Call once per process. */
void vic_task_init(lua_State *L);

/* Closes the ready list; nothing runs after this. */
void vic_task_fini(void);

/* A new task from a function and its `nargs` arguments on top, which are popped; `name` is
 * for people, NULL: where the function is. The caller owns the reference. */
struct vic_task *vic_task_spawn(lua_State *L, const char *name, int nargs);
void vic_task_ref(struct vic_task *t);
void vic_task_unref(struct vic_task *t);

/* The task that runs now, or NULL. */
struct vic_task *vic_task_current(void);

const char *vic_task_name(const struct vic_task *t);

/* For whom the running task works, and all that it spawns from now on; NULL: nobody. */
void vic_task_set_label(const char *label);
const char *vic_task_label(void);

/* The running task, or the one that is being closed, settles only after `t`. */
void vic_task_await(struct vic_task *t);

/* The same, and exit does not cancel it. */
void vic_task_say_goodbye(struct vic_task *t);

/* The running task, or the one that is being closed, settles only after the release: what
 * it leaves behind still acts. NULL: no task. */
struct vic_task *vic_task_hold(void);
void vic_task_release(struct vic_task *t);

/* Somebody asks how it ends: a failure need not be logged. */
void vic_task_observe(struct vic_task *t);

/* The signal that is given once the task is settled. */
struct vic_sync *vic_task_end(struct vic_task *t);

/* Asks it to end at its next wait. Ended ones do not mind. */
void vic_task_cancel(struct vic_task *t);

/* Asks every task to end, but for goodbyes. */
void vic_task_cancel_all(void);

bool vic_task_settled(const struct vic_task *t);

/* True once every task is settled. */
bool vic_task_none(void);

/* Pushes onto L what a settled task returned, or its err. True: it returned;
 * *n values were pushed. */
bool vic_task_results(struct vic_task *t, lua_State *L, int *n);

#endif
