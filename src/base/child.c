/*
 * child: see child.h. Five handles of libuv live in one struct, which is done when
 * the last of them is closed.
 */
#include "child.h"

#include "alloc.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE  (16 * 1024)
#define LINGER 1000 /* ms, for who holds the pipes after the program has ended */

struct vic_child {
    uv_loop_t *loop;
    uv_process_t process;
    uv_pipe_t in, out, err;
    uv_timer_t timer;
    uv_write_t write;
    unsigned handles; /* open */
    bool running;

    char *name; /* for messages; arguments may be secret */
    char *input;
    size_t input_size;
    double timeout;
    size_t max_output;
    void *arg;
    void (*heard)(void *arg, const char *data, size_t size);
    void (*done)(void *arg);

    bool failed;
    struct vic_error error;
    struct vic_child_result result;
    char piece[PIECE];
};

static void child_on_closed(uv_handle_t *handle)
{
    struct vic_child *child = handle->data;

    if (--child->handles == 0)
        child->done(child->arg);
}

static void child_handle_close(void *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, child_on_closed);
}

/* Once nothing runs and both outputs have ended, nothing more can come. */
static void child_check(struct vic_child *child)
{
    if (child->running || !uv_is_closing((uv_handle_t *)&child->out) ||
        !uv_is_closing((uv_handle_t *)&child->err))
        return;
    child_handle_close(&child->in);
    child_handle_close(&child->timer);
}

/* All of its session's first process group; a program that leaves that is on its own. */
static void group_kill(struct vic_child *child)
{
    if (child->process.pid > 0)
        kill(-child->process.pid, SIGKILL);
}

static void child_fail(struct vic_child *child, const struct vic_error *err)
{
    if (child->failed)
        return;
    child->failed = true;
    child->error = *err;
    if (child->running)
        group_kill(child);
}

static void on_linger(uv_timer_t *timer)
{
    struct vic_child *child = timer->data;

    group_kill(child);
    child_handle_close(&child->out);
    child_handle_close(&child->err);
    child_check(child);
}

static void child_on_timeout(uv_timer_t *timer)
{
    struct vic_child *child = timer->data;
    struct vic_error err;

    vic_error_set(&err, VIC_TIMEOUT, "%s: timed out after %g s", child->name,
                  child->timeout);
    child_fail(child, &err);
}

static void child_on_ended(uv_process_t *process, int64_t status, int signal)
{
    struct vic_child *child = process->data;

    child->running = false;
    child->result.status = (int)status;
    child->result.signal = signal;
    child_handle_close(process);
    uv_timer_start(&child->timer, on_linger, LINGER, 0);
    child_check(child);
}

static void child_on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct vic_child *child = handle->data;

    (void)size;
    *buf = uv_buf_init(child->piece, sizeof(child->piece));
}

static void output_add(struct vic_child *child, struct vic_child_output *output,
                       const char *data, size_t size)
{
    size_t have = child->result.out.size + child->result.err.size;
    struct vic_error err;

    if (size > child->max_output - have) {
        vic_error_set(&err, VIC_EXIT, "%s: it writes more than %zu bytes", child->name,
                      child->max_output);
        child_fail(child, &err);
        return;
    }
    output->data = vic_realloc(output->data, output->size + size);
    memcpy(output->data + output->size, data, size);
    output->size += size;
}

static void child_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct vic_child *child = stream->data;
    bool is_out = stream == (uv_stream_t *)&child->out;

    if (n > 0 && is_out && child->heard)
        child->heard(child->arg, buf->base, (size_t)n);
    if (n > 0 && !child->failed)
        output_add(child, is_out ? &child->result.out : &child->result.err, buf->base,
                   (size_t)n);
    if (n < 0) {
        child_handle_close(stream);
        child_check(child);
    }
}

/* A program need not read its input to the end: that is no failure. */
static void child_on_written(uv_write_t *write, int status)
{
    struct vic_child *child = write->data;

    (void)status;
    child_handle_close(&child->in);
}

/* ---- start ---- */

static const char *const FEW[] = { "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ" };
#define FEW_COUNT (sizeof(FEW) / sizeof(FEW[0]))

static size_t list_count(char *const *list)
{
    size_t count = 0;

    while (list && list[count])
        count++;
    return count;
}

/* Sets "NAME=value" in the list, in the place of another value if there is one. */
static void env_set(char **list, const char *entry)
{
    size_t size = strcspn(entry, "=") + 1;

    while (*list && strncmp(*list, entry, size) != 0)
        list++;
    free(*list);
    *list = vic_strdup(entry);
}

static void env_set_ours(char **list, const char *name)
{
    const char *value = getenv(name);
    size_t size = value ? strlen(name) + strlen(value) + 2 : 0;
    char *entry;

    if (!value)
        return;
    entry = vic_alloc(size);
    snprintf(entry, size, "%s=%s", name, value);
    env_set(list, entry);
    free(entry);
}

static char **env_make(const struct vic_child_opts *opts)
{
    size_t most = FEW_COUNT + list_count(opts->env) + list_count(environ) + 1;
    char **list = vic_alloc(most * sizeof(*list));
    size_t i;

    for (i = 0; opts->inherit && environ[i]; i++)
        env_set(list, environ[i]);
    for (i = 0; !opts->inherit && i < FEW_COUNT; i++)
        env_set_ours(list, FEW[i]);
    for (i = 0; opts->env && opts->env[i]; i++)
        env_set(list, opts->env[i]);
    return list;
}

/* The launcher's and its own; only the list is to be freed. */
static const char **argv_make(const struct vic_child_opts *opts)
{
    size_t before = list_count(opts->launcher), own = list_count(opts->argv);
    const char **list = vic_alloc((before + own + 1) * sizeof(*list));
    size_t i;

    for (i = 0; i < before; i++)
        list[i] = opts->launcher[i];
    for (i = 0; i < own; i++)
        list[before + i] = opts->argv[i];
    return list;
}

static int child_spawn(struct vic_child *child, const struct vic_child_opts *opts)
{
    char **env = env_make(opts);
    const char **argv = argv_make(opts);
    size_t i;
    uv_stdio_container_t stdio[3] = {
        { .flags = UV_CREATE_PIPE | UV_READABLE_PIPE,
          .data.stream = (uv_stream_t *)&child->in },
        { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
          .data.stream = (uv_stream_t *)&child->out },
        { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
          .data.stream = (uv_stream_t *)&child->err },
    };
    uv_process_options_t options = {
        .exit_cb = child_on_ended,
        .file = argv[0],
        .args = (char **)argv,
        .env = env,
        .cwd = opts->cwd,
        .flags = UV_PROCESS_DETACHED, /* setsid() */
        .stdio_count = 3,
        .stdio = stdio,
    };
    int problem;

    /* A pipe of libuv's is a socket, and bash takes a socket for a call from far away and
     * reads its user's .bashrc first. */
    if (!child->input_size)
        stdio[0].flags = UV_IGNORE; /* /dev/null */
    /* Ours are opened so that children do not get them; a library's may not be. */
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    problem = uv_spawn(child->loop, &child->process, &options);
    for (i = 0; env[i]; i++)
        free(env[i]);
    free(env);
    free(argv);
    return problem;
}

static void child_handles_init(struct vic_child *child)
{
    uv_pipe_init(child->loop, &child->in, 0);
    uv_pipe_init(child->loop, &child->out, 0);
    uv_pipe_init(child->loop, &child->err, 0);
    uv_timer_init(child->loop, &child->timer);
    child->process.data = child->in.data = child->out.data = child->err.data = child;
    child->timer.data = child->write.data = child;
    child->handles = 5;
}

static void child_not_started(struct vic_child *child, int problem, const char *cwd)
{
    struct vic_error err;

    if (problem == UV_ENOENT && !cwd)
        vic_error_set(&err, VIC_NOTFOUND, "%s: no such program", child->name);
    else
        vic_error_errno(&err, -problem, "%s: cannot be started%s%s", child->name,
                        cwd ? " in " : "", cwd ? cwd : "");
    child_fail(child, &err);
    child_handle_close(&child->process);
    child_handle_close(&child->out);
    child_handle_close(&child->err);
    child_check(child);
}

static void child_feed(struct vic_child *child)
{
    uv_buf_t buf = uv_buf_init(child->input, (unsigned)child->input_size);

    if (!child->input_size ||
        uv_write(&child->write, (uv_stream_t *)&child->in, &buf, 1, child_on_written) < 0)
        child_handle_close(&child->in);
}

struct vic_child *vic_child_start(uv_loop_t *loop, const struct vic_child_opts *opts)
{
    struct vic_child *child = vic_alloc(sizeof(*child));
    const char *slash = strrchr(opts->argv[0], '/');
    int problem;

    child->loop = loop;
    child->name = vic_strdup(slash ? slash + 1 : opts->argv[0]);
    child->input_size = opts->input ? opts->input_size : 0;
    child->input = vic_strndup(opts->input ? opts->input : "", child->input_size);
    child->timeout = opts->timeout;
    child->max_output = opts->max_output;
    child->arg = opts->arg;
    child->heard = opts->heard;
    child->done = opts->done;

    child_handles_init(child);
    problem = child_spawn(child, opts);
    if (problem < 0) {
        child_not_started(child, problem, opts->cwd);
        return child;
    }
    child->running = true;
    uv_read_start((uv_stream_t *)&child->out, child_on_alloc, child_on_read);
    uv_read_start((uv_stream_t *)&child->err, child_on_alloc, child_on_read);
    child_feed(child);
    uv_update_time(loop);
    if (opts->timeout > 0)
        uv_timer_start(&child->timer, child_on_timeout, (uint64_t)(opts->timeout * 1000),
                       0);
    return child;
}

void vic_child_kill(struct vic_child *child)
{
    struct vic_error err;

    vic_error_set(&err, VIC_CANCELLED, "%s: cancelled", child->name);
    child_fail(child, &err);
}

const struct vic_error *vic_child_error(const struct vic_child *child)
{
    return child->failed ? &child->error : NULL;
}

const struct vic_child_result *vic_child_result(const struct vic_child *child)
{
    return &child->result;
}

void vic_child_free(struct vic_child *child)
{
    if (!child)
        return;
    free(child->result.out.data);
    free(child->result.err.data);
    free(child->name);
    free(child->input);
    free(child);
}
