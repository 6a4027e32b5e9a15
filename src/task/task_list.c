/*
 * task_list: see task_list.h. Tracebacks are taken from outside: the tasks do not run.
 */
#include "task_list.h"

#include "clock.h"
#include "log.h"
#include "task_state.h"
#include "text.h"
#include "wait.h"

#include <lauxlib.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void describe_doing(const struct vic_task *t, char *doing, size_t size)
{
    if (t->done)
        snprintf(doing, size, "has ended, but for %u goodbyes", t->goodbyes);
    else if (t == vic_task_current())
        snprintf(doing, size, "runs");
    else if (t->queued || !t->wait)
        snprintf(doing, size, "can go on");
    else
        snprintf(doing, size, "waits for %s", t->wait->what);
}

static void show_one(const struct vic_task *t,
                     void (*show)(void *arg, const struct vic_task_view *view), void *arg)
{
    char doing[VIC_WAIT_WHAT + 16];
    struct vic_task_view view = {
        .name = t->name,
        .label = t->label,
        .doing = doing,
        .seconds = vic_now() - t->since,
        .traceback = "",
    };
    lua_State *L = vic_task_state(); /* not the task's: nothing of its own is touched */
    int top = lua_gettop(L);

    describe_doing(t, doing, sizeof(doing));
    if (!t->done && lua_checkstack(L, LUA_MINSTACK)) {
        luaL_traceback(L, t->co, NULL, 0);
        view.traceback = lua_tostring(L, -1);
    }
    show(arg, &view);
    lua_settop(L, top);
}

void vic_task_each(void (*show)(void *arg, const struct vic_task_view *view), void *arg)
{
    const struct vic_task *t = vic_task_latest();

    while (t && t->next)
        t = t->next;
    for (; t; t = t->prev)
        show_one(t, show, arg);
}

static void text_one(void *arg, const struct vic_task_view *view)
{
    char seconds[32];

    vic_text_puts(arg, view->name);
    if (view->label && strcmp(view->label, view->name) != 0) {
        vic_text_puts(arg, " (for ");
        vic_text_puts(arg, view->label);
        vic_text_puts(arg, ")");
    }
    vic_text_puts(arg, ": ");
    vic_text_puts(arg, view->doing);
    snprintf(seconds, sizeof(seconds), ", for %.1f s\n", view->seconds);
    vic_text_puts(arg, seconds);
    vic_text_puts(arg, view->traceback);
    vic_text_puts(arg, "\n\n");
}

void vic_task_list_text(struct vic_text *text)
{
    vic_task_each(text_one, text);
}

static void log_one(void *arg, const struct vic_task_view *view)
{
    const char *names[] = { "task", "for", "doing", "traceback" };
    const char *values[] = { view->name, view->label, view->doing, view->traceback };
    struct vic_text json[4] = { { 0 } };
    struct vic_log_field fields[4];
    char message[2 * VIC_WAIT_WHAT];
    size_t count = 0, i;

    (void)arg;
    for (i = 0; i < 4; i++) {
        if (!values[i] || !values[i][0])
            continue;
        vic_text_json(&json[i], values[i], strlen(values[i]), SIZE_MAX);
        fields[count++] = (struct vic_log_field){ names[i], strlen(names[i]),
                                                  json[i].data, json[i].size };
    }
    snprintf(message, sizeof(message), "task %.100s: %s, for %.1f s", view->name,
             view->doing, view->seconds);
    vic_log_event(VIC_LOG_INFO, message, strlen(message), fields, count);
    for (i = 0; i < 4; i++)
        vic_text_fini(&json[i]);
}

void vic_task_list_log(void)
{
    vic_task_each(log_one, NULL);
}
