/*
 * task_list: what every task is doing, for who looks for one that hangs. Loop thread only.
 */
#ifndef VIC_TASK_LIST_H
#define VIC_TASK_LIST_H

struct vic_text;

/* A task seen from outside; all of it lives during the call that shows it. */
struct vic_task_view {
    const char *name;
    const char *label;     /* for whom it works, or NULL */
    const char *doing;     /* "waits for sleep" */
    double seconds;        /* since when */
    const char *traceback; /* where in Lua; "" once it has ended */
};

/* Calls `show` for every task that is not settled, the oldest first. */
void vic_task_each(void (*show)(void *arg, const struct vic_task_view *view), void *arg);

/* Adds all of them, as people read it. */
void vic_task_list_text(struct vic_text *text);

/* Writes an event for each of them to the log. */
void vic_task_list_log(void);

#endif
