/*
 * sandbox_process: the pipes of it, and its frames: four bytes of length, then JSON.
 */
#include "sandbox_process.h"

#include "alloc.h"
#include "confinement.h"
#include "sandbox_child.h"
#include "text.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define PIECE (64 * 1024)
#define SIZE  sizeof(uint32_t)

#define PATIENCE    10    /* deadlines, on a machine that lets nothing run */
#define LEAST_TIMER 0.005 /* seconds */

struct vic_sandbox {
    uv_process_t process;
    uv_pipe_t in, out;
    uv_timer_t timer;
    uv_write_t write;
    unsigned handles; /* open */
    bool usable;      /* started, sound, and not told to end */
    bool released;    /* by who started it */
    bool ended;       /* the process */
    bool greeted;     /* its first frame has come */
    bool writing;
    char *request; /* being written */
    double deadline;
    double had;               /* seconds of a processor, before it was asked */
    uint64_t gives_up;        /* by the loop's clock */
    vic_sandbox_answer *done; /* who waits for an answer, or NULL */
    void *arg;
    struct vic_text input;
    char piece[PIECE];
};

static void sandbox_free(struct vic_sandbox *s)
{
    vic_text_fini(&s->input);
    free(s->request);
    free(s);
}

static void sandbox_on_closed(uv_handle_t *handle)
{
    struct vic_sandbox *s = handle->data;

    if (--s->handles == 0 && s->released)
        sandbox_free(s);
}

static void sandbox_handle_close(void *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, sandbox_on_closed);
}

/* The pipes go when the process has been waited for, so that no zombie is left. */
static void sandbox_kill(struct vic_sandbox *s)
{
    s->usable = false;
    if (!s->ended)
        uv_process_kill(&s->process, SIGKILL);
}

static void sandbox_answer(struct vic_sandbox *s, const char *data, size_t size,
                           const struct vic_error *err)
{
    vic_sandbox_answer *done = s->done;

    s->done = NULL;
    uv_timer_stop(&s->timer);
    done(s->arg, data, size, err);
}

static void sandbox_fail(struct vic_sandbox *s, const struct vic_error *err)
{
    sandbox_kill(s);
    if (s->done)
        sandbox_answer(s, NULL, 0, err);
}

/* Seconds of a processor that it has had. */
static double sandbox_processor_time(const struct vic_sandbox *s)
{
    struct timespec at = { 0, 0 };
    clockid_t clock;

    if (!clock_getcpuclockid(s->process.pid, &clock))
        clock_gettime(clock, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void timer_set(struct vic_sandbox *s, double seconds);

/* The time that the script had of a processor counts: a machine that is busy with other
 * things is not its fault. */
static void on_deadline(uv_timer_t *timer)
{
    struct vic_sandbox *s = timer->data;
    double left = s->deadline - (sandbox_processor_time(s) - s->had);
    struct vic_error err;

    if (left > 0 && uv_now(timer->loop) < s->gives_up) {
        timer_set(s, left > LEAST_TIMER ? left : LEAST_TIMER);
        return;
    }
    if (left > 0)
        vic_error_set(&err, VIC_BUSY,
                      "it has not ended within %g s, in which this machine "
                      "gave it %.2g s of a processor",
                      s->deadline * PATIENCE, s->deadline - left);
    else
        vic_error_set(&err, VIC_TIMEOUT, "it has not ended within %g s", s->deadline);
    sandbox_fail(s, &err);
}

static void timer_set(struct vic_sandbox *s, double seconds)
{
    uv_timer_start(&s->timer, on_deadline, (uint64_t)(seconds * 1000), 0);
}

static void sandbox_on_ended(uv_process_t *process, int64_t status, int signal)
{
    struct vic_sandbox *s = process->data;
    struct vic_error err;

    s->ended = true;
    if (signal)
        vic_error_set(&err, VIC_EXIT, "its process was ended by signal %d", signal);
    else
        vic_error_set(&err, VIC_EXIT, "its process has ended, exit code %d", (int)status);
    sandbox_fail(s, &err);
    sandbox_handle_close(process);
    sandbox_handle_close(&s->in);
    sandbox_handle_close(&s->out);
    sandbox_handle_close(&s->timer);
}

static void sandbox_on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct vic_sandbox *s = handle->data;

    (void)size;
    *buf = uv_buf_init(s->piece, sizeof(s->piece));
}

/* The first message of the child, about itself. Where the kernel offers no filter that was
 * said, or refused, when it was started. */
static void greeting_take(struct vic_sandbox *s, const char *data, size_t size)
{
    struct vic_error err;

    s->greeted = true;
    if (memmem(data, size, "true", 4) || !vic_confinement_offered().seccomp)
        return;
    vic_error_set(&err, VIC_IO, "its process could not be confined");
    sandbox_fail(s, &err);
}

/* One whole frame, without its length. */
static void frame_take(struct vic_sandbox *s, const char *data, size_t size)
{
    struct vic_error err;

    if (!s->greeted) {
        greeting_take(s, data, size);
    } else if (s->done) {
        sandbox_answer(s, data, size, NULL);
    } else {
        vic_error_set(&err, VIC_FORMAT, "an answer that nobody asked for");
        sandbox_fail(s, &err);
    }
}

static void frames_take(struct vic_sandbox *s)
{
    struct vic_error err;
    uint32_t size;

    while (s->usable && s->input.size >= SIZE) {
        memcpy(&size, s->input.data, SIZE);
        if (size > 2 * VIC_SANDBOX_FRAME) {
            vic_error_set(&err, VIC_FORMAT, "an answer of %u bytes", size);
            sandbox_fail(s, &err);
            return;
        }
        if (s->input.size < SIZE + size)
            return;
        frame_take(s, s->input.data + SIZE, size);
        s->input.size -= SIZE + size;
        memmove(s->input.data, s->input.data + SIZE + size, s->input.size);
    }
}

static void sandbox_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct vic_sandbox *s = stream->data;

    if (n < 0)
        sandbox_kill(s);
    if (n <= 0 || !s->usable)
        return;
    vic_text_add(&s->input, buf->base, (size_t)n);
    frames_take(s);
}

/* A failure to write shows as the end of the process. */
static void sandbox_on_written(uv_write_t *write, int status)
{
    struct vic_sandbox *s = write->data;

    s->writing = false;
    if (status < 0)
        sandbox_kill(s);
}

static void sandbox_handles_init(struct vic_sandbox *s)
{
    uv_loop_t *loop = uv_default_loop();

    uv_pipe_init(loop, &s->in, 0);
    uv_pipe_init(loop, &s->out, 0);
    uv_timer_init(loop, &s->timer);
    s->process.data = s->in.data = s->out.data = s->timer.data = s->write.data = s;
    s->handles = 4;
}

static int sandbox_spawn(struct vic_sandbox *s)
{
    static char *argv[] = { "vm-import-controller", "--sandbox", NULL };
    static char *env[] = { NULL };
    uv_stdio_container_t stdio[3] = {
        { .flags = UV_CREATE_PIPE | UV_READABLE_PIPE,
          .data.stream = (uv_stream_t *)&s->in },
        { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
          .data.stream = (uv_stream_t *)&s->out },
        { .flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO },
    };
    uv_process_options_t options = {
        .exit_cb = sandbox_on_ended,
        .file = "/proc/self/exe",
        .args = argv,
        .env = env,
        .cwd = "/",
        .flags = UV_PROCESS_DETACHED, /* setsid(): not for a terminal's Ctrl-C */
        .stdio_count = 3,
        .stdio = stdio,
    };

    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    return uv_spawn(uv_default_loop(), &s->process, &options);
}

struct vic_sandbox *vic_sandbox_start(struct vic_error *err)
{
    struct vic_confinement filter = { .seccomp = true };
    struct vic_sandbox *s;
    int problem;

    if (vic_confinement_check("the process of site scripts", filter, err) < 0)
        return NULL;
    s = vic_alloc(sizeof(*s));
    sandbox_handles_init(s);
    problem = sandbox_spawn(s);
    if (problem < 0) {
        s->ended = true;
        sandbox_handle_close(&s->process);
        sandbox_handle_close(&s->in);
        sandbox_handle_close(&s->out);
        sandbox_handle_close(&s->timer);
        vic_sandbox_release(s);
        vic_error_errno(err, -problem, "the sandbox cannot be started");
        return NULL;
    }
    s->usable = true;
    uv_read_start((uv_stream_t *)&s->out, sandbox_on_alloc, sandbox_on_read);
    return s;
}

static int request_send(struct vic_sandbox *s, const char *request, size_t size)
{
    uint32_t length = (uint32_t)size;
    uv_buf_t buf;

    free(s->request);
    s->request = vic_alloc(SIZE + size);
    memcpy(s->request, &length, SIZE);
    memcpy(s->request + SIZE, request, size);
    buf = uv_buf_init(s->request, (unsigned)(SIZE + size));
    return uv_write(&s->write, (uv_stream_t *)&s->in, &buf, 1, sandbox_on_written);
}

int vic_sandbox_ask(struct vic_sandbox *s, const char *request, size_t size,
                    double deadline, vic_sandbox_answer *done, void *arg)
{
    if (!s->usable || s->writing)
        return -1;
    if (request_send(s, request, size) < 0) {
        sandbox_kill(s);
        return -1;
    }
    s->writing = true;
    s->deadline = deadline;
    s->had = sandbox_processor_time(s);
    s->done = done;
    s->arg = arg;
    uv_update_time(s->timer.loop);
    s->gives_up = uv_now(s->timer.loop) + (uint64_t)(deadline * PATIENCE * 1000);
    timer_set(s, deadline);
    return 0;
}

void vic_sandbox_forget(struct vic_sandbox *s)
{
    s->done = NULL;
    uv_timer_stop(&s->timer);
    sandbox_kill(s);
}

bool vic_sandbox_asked(const struct vic_sandbox *s)
{
    return s->done;
}

bool vic_sandbox_usable(const struct vic_sandbox *s)
{
    return s->usable;
}

int vic_sandbox_pid(const struct vic_sandbox *s)
{
    return s->process.pid;
}

void vic_sandbox_release(struct vic_sandbox *s)
{
    s->released = true;
    sandbox_kill(s);
    if (s->handles == 0)
        sandbox_free(s);
}
