/*
 * deadline: see deadline.h. Activity only writes down the time; the timer looks there
 * when it fires, and is not moved for every piece of a body.
 */
#include "deadline.h"

/* ms. A loop that was kept busy finds time-outs before it finds the bytes that have
 * long been waiting in a socket: they get this long. */
#define LAST_CHANCE 5

static void deadline_on_timer(uv_timer_t *timer);

uint64_t vic_milliseconds(double seconds)
{
    return seconds < 1e9 ? (uint64_t)(seconds * 1000) : (uint64_t)1e12;
}

static uint64_t deadline_next(const struct vic_deadline *d)
{
    uint64_t idle = d->activity + d->idle;

    return d->watching && idle < d->end ? idle : d->end;
}

static void deadline_arm(struct vic_deadline *d)
{
    uint64_t next = deadline_next(d);
    uint64_t now = uv_now(d->timer.loop);

    if (d->closed)
        return;
    if (next == UINT64_MAX)
        uv_timer_stop(&d->timer);
    else
        uv_timer_start(&d->timer, deadline_on_timer, next > now ? next - now : 1, 0);
}

static void deadline_on_timer(uv_timer_t *timer)
{
    struct vic_deadline *d = timer->data;
    uint64_t now = uv_now(timer->loop);

    if (now < deadline_next(d)) {
        deadline_arm(d);
    } else if (!d->late) {
        d->late = true;
        uv_timer_start(timer, deadline_on_timer, LAST_CHANCE, 0);
    } else {
        d->expired(d->arg, now >= d->end);
    }
}

void vic_deadline_init(struct vic_deadline *d, uv_loop_t *loop, double idle, double total,
                       void (*expired)(void *arg, bool total), void *arg)
{
    uv_update_time(loop); /* a long-running script makes the loop's clock stale */
    uv_timer_init(loop, &d->timer);
    d->timer.data = d;
    d->idle = vic_milliseconds(idle);
    d->end = total > 0 ? uv_now(loop) + vic_milliseconds(total) : UINT64_MAX;
    d->expired = expired;
    d->arg = arg;
    deadline_arm(d);
}

void vic_deadline_touch(struct vic_deadline *d)
{
    d->activity = uv_now(d->timer.loop);
    d->late = false;
}

void vic_deadline_watch(struct vic_deadline *d, bool on)
{
    d->watching = on;
    vic_deadline_touch(d);
    deadline_arm(d);
}

static void deadline_on_closed(uv_handle_t *handle)
{
    struct vic_deadline *d = handle->data;

    d->gone(d->arg);
}

void vic_deadline_close(struct vic_deadline *d, void (*gone)(void *arg))
{
    d->closed = true;
    d->gone = gone;
    uv_close((uv_handle_t *)&d->timer, deadline_on_closed);
}
